"""Ask an S3 remote whether it can be used, and say in one line what is wrong and what helps."""

from __future__ import annotations

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
    from botocore.config import Config
    from botocore.session import Session

    parts = urlsplit(settings["url"])
    endpoint = settings.get("endpointurl")
    where = endpoint or "AWS"
    try:
        client = Session(profile=settings.get("profile")).create_client(
            "s3",
            region_name=settings.get("region"),
            endpoint_url=endpoint,
            aws_access_key_id=settings.get("access_key_id"),
            aws_secret_access_key=settings.get("secret_access_key"),
            aws_session_token=settings.get("session_token"),
            config=Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries={"total_max_attempts": 1}),
        )
        client.list_objects_v2(Bucket=parts.netloc, Prefix=parts.path.lstrip("/"), MaxKeys=1)
    except failures.ProfileNotFound:
        return (
            f"no AWS profile named {settings['profile']!r} on this machine",
            f"aws configure --profile {settings['profile']}",
        )
    except failures.NoCredentialsError:
        return f"no credentials for {settings['url']}", CREDENTIALS.format(name=name)
    except failures.HTTPClientError:  # connection refused, unknown host, time-outs, TLS
        return (
            f"{where} cannot be reached",
            f"dvc remote modify {name} endpointurl URL   # or wait until it is up again",
        )
    except failures.ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in ("NoSuchBucket", "404") or status == 404:
            return (
                f"{where} has no bucket {parts.netloc!r}",
                f"create it, or: dvc remote modify {name} url s3://BUCKET/PREFIX",
            )
        if status in (401, 403) or "Access" in code or "Signature" in code:
            return f"{where} refuses these credentials for {settings['url']} ({code})", CREDENTIALS.format(name=name)
        return f"{where} answers with an error: {error}", "try again; if it stays, ask who runs the server"
    return None
