"""Ask an S3 remote whether it can be used, and say in one line what is wrong and what helps."""

import os
from typing import Any
from urllib.parse import urlsplit

SECONDS = 5

CREDENTIALS = (
    "export AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=…   # or: make setup PROFILE=name,"
    " or: dvc remote modify --local {name} access_key_id … (and secret_access_key)"
)


def check_s3(name: str, settings: dict[str, Any]) -> tuple[str, str] | None:
    """List one object of the remote, with the credentials that DVC would use.

    Args:
        name: the remote's name.
        settings: its options, from all levels of DVC's configuration.
    Returns:
        None when it answers; else what is wrong, and the remedy.
    """
    from botocore import exceptions as failures
    from botocore.session import Session

    url, where = settings["url"], settings.get("endpointurl") or "AWS"
    try:
        _list_one(settings)
    except failures.ProfileNotFound:
        known = ", ".join(Session().available_profiles) or "none"
        remedy = (
            "make setup PROFILE=name   # one of these, or a new one written into ~/.aws/credentials"
        )
        return (
            f"no AWS profile named {settings['profile']!r} on this machine; there are: {known}",
            remedy,
        )
    except failures.NoCredentialsError:
        return f"no credentials for {url}", CREDENTIALS.format(name=name)
    except failures.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "NoSuchBucket" or status == 404:
            remedy = f"dvc remote modify {name} url s3://BUCKET/PREFIX   # or create the bucket; then: make setup"
            return f"{where} has no bucket {urlsplit(url).netloc!r}", remedy
        if status in (401, 403) or "Token" in code:
            return f"{where} refuses these credentials for {url} ({code})", CREDENTIALS.format(
                name=name
            )
        return (
            f"{where} answers with an error: {error}",
            "make setup   # again; if it stays, ask who runs the server",
        )
    except (
        failures.ConnectionError,
        failures.HTTPClientError,
    ):  # refused, unknown host, time-outs, TLS
        remedy = f"make setup   # when it is up; if its address changed: dvc remote modify {name} endpointurl URL"
        return f"{where} cannot be reached", remedy
    except (
        failures.BotoCoreError
    ) as error:  # half a pair of keys, an expired login, an unreadable AWS configuration
        return f"no usable credentials for {url}: {error}", CREDENTIALS.format(name=name)
    return None


def _list_one(settings: dict[str, Any]) -> None:
    from botocore.config import Config
    from botocore.session import Session

    for option, variable in (
        ("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"),
        ("configpath", "AWS_CONFIG_FILE"),
    ):
        if settings.get(option):
            os.environ.setdefault(variable, settings[option])  # as DVC does
    keys = {
        f"aws_{name}": settings.get(name)
        for name in ("access_key_id", "secret_access_key", "session_token")
    }
    place = {"region_name": settings.get("region"), "endpoint_url": settings.get("endpointurl")}
    once = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1})
    session = Session(profile=settings.get("profile"))
    client = session.create_client(
        "s3", verify=settings.get("ssl_verify"), config=once, **place, **keys
    )
    parts = urlsplit(settings["url"])
    client.list_objects_v2(Bucket=parts.netloc, Prefix=parts.path.lstrip("/"), MaxKeys=1)
