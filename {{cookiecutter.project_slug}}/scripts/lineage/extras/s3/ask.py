"""An S3 remote, asked for one object: one line says what is wrong with it, and what helps."""

import os
from typing import Any
from urllib.parse import urlsplit

from lineage.core.check_result import Step, done
from lineage.core.errors import Refused

SECONDS = 5

CREDENTIALS = (
    "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…   # or: make setup PROFILE=name,"
    " or: dvc remote modify --local {name} access_key_id … (and secret_access_key)"
)
PROFILE = "make setup PROFILE=name   # one of these, or a new one written into ~/.aws/credentials"
BUCKET = (
    "dvc remote modify {name} url s3://BUCKET/PREFIX   # or create the bucket; then: make setup"
)
ADDRESS = (
    "make setup   # when it is up; if its address changed: dvc remote modify {name} endpointurl URL"
)
AGAIN = "make setup   # again; if it stays, ask who runs the server"


def ask_s3(config: Any, name: str, profile: str | None) -> Step:
    """List one object of the remote, with the credentials that DVC would use.

    Args:
        config: DVC's configuration, all levels of it.
        name: the remote's name.
        profile: an AWS profile, which is kept in `.dvc/config.local` if it works.

    Raises:
        Refused: it cannot be used; says why.
    """
    settings = dict(config["remote"][name])
    if profile:
        settings["profile"] = profile
    _check(name, settings)
    if profile:
        with config.edit("local") as edited:
            edited["remote"].setdefault(name, {})["profile"] = profile
    return done("remote", f"{settings['url']} answers, credentials fit")


def _check(name: str, settings: dict[str, Any]) -> None:
    """Raise `Refused` unless the remote answers; says why, and what helps."""
    from botocore import exceptions as failures
    from botocore.session import Session

    url = settings["url"]
    server = settings.get("endpointurl") or "AWS"
    remedy = CREDENTIALS
    try:
        _list_one(settings)
        return
    except failures.ClientError as error:
        problem, remedy = _refusal(error.response, server, url)
    except (failures.ConnectionError, failures.HTTPClientError):
        problem = f"{server} cannot be reached"  # unknown host, time-outs, TLS, …
        remedy = ADDRESS
    except failures.ProfileNotFound:
        known = ", ".join(Session().available_profiles) or "none"
        problem = (
            f"no AWS profile named {settings['profile']!r} on this machine; there are: {known}"
        )
        remedy = PROFILE
    except failures.NoCredentialsError:
        problem = f"no credentials for {url}"
    except failures.BotoCoreError as error:  # half a pair of keys, an expired login, …
        problem = f"no usable credentials for {url}: {error}"
    raise Refused(problem, remedy.format(name=name))


def _refusal(response: Any, server: str, url: str) -> tuple[str, str]:
    """Say what an answer other than OK means, and what helps."""
    error = response.get("Error", {})
    code = error.get("Code", "")
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code == "NoSuchBucket" or status == 404:
        return f"{server} has no bucket {urlsplit(url).netloc!r}", BUCKET
    if status in (401, 403) or "Token" in code:
        return f"{server} refuses these credentials for {url} ({code})", CREDENTIALS
    return f"{server} answers with an error: {code} {error.get('Message')}", AGAIN


def _list_one(settings: dict[str, Any]) -> None:
    from botocore.config import Config
    from botocore.session import Session

    for option, variable in (
        ("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"),
        ("configpath", "AWS_CONFIG_FILE"),
    ):
        if settings.get(option):
            os.environ.setdefault(variable, settings[option])  # as DVC does
    keys = ("access_key_id", "secret_access_key", "session_token")
    client = Session(profile=settings.get("profile")).create_client(
        "s3",
        region_name=settings.get("region"),
        endpoint_url=settings.get("endpointurl"),
        verify=settings.get("ssl_verify"),
        config=Config(
            connect_timeout=SECONDS,
            read_timeout=SECONDS,
            retries={"total_max_attempts": 1},
        ),
        **{f"aws_{key}": settings.get(key) for key in keys},
    )
    place = urlsplit(settings["url"])
    client.list_objects_v2(Bucket=place.netloc, Prefix=place.path.lstrip("/"), MaxKeys=1)
