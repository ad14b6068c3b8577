"""A repository folder to the Hugging Face hub, private until somebody decides otherwise."""

from pathlib import Path

from data.errors import UserError


def check(repo: str) -> None:
    """UserError where nothing could be uploaded to `repo`, before anything is written."""
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo)
        if "/" not in repo:
            raise HFValidationError
    except HFValidationError:
        raise UserError(
            f"--push {repo} is no repository; give owner/name, in letters, digits and `-`, `_`, `.`."
        ) from None
    if constants.HF_HUB_OFFLINE:
        raise UserError(
            f"--push {repo} needs the hub, and HF_HUB_OFFLINE is set; unset it, or leave --push out."
        )
    if get_token() is None:
        raise UserError(
            f"--push {repo} needs a token of the hub that may write; set HF_TOKEN or run `hf auth login`, or"
            " leave --push out and upload the folder yourself."
        )


def upload(folder: Path, repo: str, message: str) -> str:
    """Put the files of `folder` into `repo`, made private where it is new; the commit's address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        api.create_repo(repo, private=True, exist_ok=True)
        return str(api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message).commit_url)
    except (HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{folder} is written, and could not be uploaded to {repo} ({reason}); mend that and upload it"
            f" with `hf upload {repo} {folder}`."
        ) from None
