"""A passkey in software: what a device does, for tests without a browser."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class SoftKey:
    """One key at one site; it counts its signatures unless `counts` is False."""

    def __init__(self, origin: str = "http://localhost", *, counts: bool = True) -> None:
        self.origin, self.counts, self.count = origin, counts, 0
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.credential_id = secrets.token_bytes(32)
        self.handle = b""

    def create(self, options: dict[str, Any]) -> str:
        """The answer to `navigator.credentials.create()`."""
        self.handle = base64url_to_bytes(options["user"]["id"])
        numbers = self.private.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        size = len(self.credential_id).to_bytes(2, "big")
        attested = bytes(16) + size + self.credential_id + cbor2.dumps(public)
        data = self._data(options["rp"]["id"], PRESENT | VERIFIED | ATTESTED) + attested
        said = self._client("webauthn.create", options["challenge"])
        return self._answer(
            clientDataJSON=said,
            attestationObject=cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}),
            transports=["internal"],
        )

    def sign(self, options: dict[str, Any], *, verified: bool = True, handle: bytes | None = None) -> str:
        """The answer to `navigator.credentials.get()`."""
        if self.counts:
            self.count += 1
        data = self._data(options["rpId"], PRESENT | (VERIFIED if verified else 0))
        said = self._client("webauthn.get", options["challenge"])
        signature = self.private.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(SHA256()))
        handle = self.handle if handle is None else handle
        return self._answer(clientDataJSON=said, authenticatorData=data, signature=signature, userHandle=handle)

    def _data(self, site: str, flags: int) -> bytes:
        return hashlib.sha256(site.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin}).encode()

    def _answer(self, **response: Any) -> str:
        named = bytes_to_base64url(self.credential_id)
        told = {name: bytes_to_base64url(v) if isinstance(v, bytes) else v for name, v in response.items()}
        return json.dumps({"id": named, "rawId": named, "type": "public-key", "response": told})
