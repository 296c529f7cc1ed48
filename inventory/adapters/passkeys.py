"""Passkeys: what a browser is asked, and whether what it answers is signed by the key. Plain values, no database."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

LONGEST_ANSWER = 20_000
"""Characters: an answer without attestation is about a thousand."""


class NotSigned(Exception):
    """The answer is not one to this question, or not by this key."""


@dataclass(frozen=True)
class Site:
    """Whose passkeys these are: the name without port and scheme, and the address that the browser shows."""

    name: str
    origin: str


@dataclass(frozen=True)
class Key:
    """A key that somebody has: its id and how devices reach it."""

    credential_id: bytes
    transports: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewKey:
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]


@dataclass(frozen=True)
class Signed:
    """What a signature tells. `sign_count` is 0 from a key that does not count."""

    sign_count: int


def ask_for_new(
    site: Site, challenge: bytes, handle: bytes, account: str, name: str, known: Iterable[Key]
) -> dict[str, Any]:
    """The options of `navigator.credentials.create()`, in the standard's JSON."""
    import webauthn
    from webauthn.helpers import structs

    options = webauthn.generate_registration_options(
        rp_id=site.name,
        rp_name="Blangko",
        user_id=handle,
        user_name=account,
        user_display_name=name,
        challenge=challenge,
        exclude_credentials=_described(known),
        authenticator_selection=structs.AuthenticatorSelectionCriteria(
            resident_key=structs.ResidentKeyRequirement.PREFERRED,
            user_verification=structs.UserVerificationRequirement.PREFERRED,
        ),
    )
    return json.loads(webauthn.options_to_json(options))


def ask_for_signature(site: Site, challenge: bytes, known: Iterable[Key], *, verified: bool) -> dict[str, Any]:
    """The options of `navigator.credentials.get()`. Without `known` the browser offers the keys that it finds;
    `verified` asks the device to make sure, by finger or PIN, who holds it."""
    import webauthn
    from webauthn.helpers import structs

    wanted = structs.UserVerificationRequirement
    options = webauthn.generate_authentication_options(
        rp_id=site.name,
        challenge=challenge,
        allow_credentials=_described(known),
        user_verification=wanted.REQUIRED if verified else wanted.PREFERRED,
    )
    return json.loads(webauthn.options_to_json(options))


def read_new(site: Site, challenge: bytes, answer: str) -> NewKey:
    """The key in an answer to `ask_for_new`. Raises NotSigned."""
    import webauthn
    from webauthn.helpers import base64url_to_bytes

    said = _object(answer)
    made = _checked(
        lambda: webauthn.verify_registration_response(
            credential=said, expected_challenge=challenge, expected_rp_id=site.name, expected_origin=site.origin
        )
    )
    listed = said["response"].get("transports")
    known = {"usb", "nfc", "ble", "internal", "cable", "hybrid", "smart-card"}
    told = listed if isinstance(listed, list) else []
    transports = tuple(each for each in told if isinstance(each, str) and each in known)
    if _checked(lambda: base64url_to_bytes(said["id"])) != made.credential_id:
        raise NotSigned("another id")
    return NewKey(made.credential_id, made.credential_public_key, made.sign_count, tuple(dict.fromkeys(transports)))


def key_of(answer: str) -> tuple[bytes, bytes | None]:
    """Which key an answer to `ask_for_signature` claims to be by, and its person's handle where it tells. Raises
    NotSigned when it cannot be read."""
    from webauthn.helpers import parse_authentication_credential_json

    said = _checked(lambda: parse_authentication_credential_json(_object(answer)))
    return said.raw_id, said.response.user_handle


def check_signature(
    site: Site, challenge: bytes, answer: str, *, public_key: bytes, sign_count: int, verified: bool
) -> Signed:
    """Whether the key signed this challenge for this site; one whose counter went back is copied. Raises NotSigned."""
    import webauthn

    found = _checked(
        lambda: webauthn.verify_authentication_response(
            credential=_object(answer),
            expected_challenge=challenge,
            expected_rp_id=site.name,
            expected_origin=site.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=verified,
        )
    )
    return Signed(found.new_sign_count)


def _described(keys: Iterable[Key]) -> Any:
    from webauthn.helpers import structs

    return [
        structs.PublicKeyCredentialDescriptor(
            id=key.credential_id, transports=[structs.AuthenticatorTransport(each) for each in key.transports] or None
        )
        for key in keys
    ]


def _object(answer: str) -> dict[str, Any]:
    if len(answer) > LONGEST_ANSWER:
        raise NotSigned("too long")
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise NotSigned("not JSON") from error
    if not isinstance(said, dict) or not isinstance(said.get("response"), dict):
        raise NotSigned("not an answer")
    return said


def _checked(work: Callable[[], Any]) -> Any:
    """What is foreign may be wrong in every way; the library does not promise to say so in one."""
    try:
        return work()
    except Exception as error:
        raise NotSigned(type(error).__name__) from error
