"""An OpenID Connect provider of the tests: a real HTTP server on loopback with signing keys of its own.

It takes the code flow with PKCE, gives each code once, and checks what a provider has to check. What it says can be
bent, so that it lies as a hostile or broken one would.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey, RSAKey

CLIENT_ID, CLIENT_SECRET = "blangko", "a secret of the provider's for this installation"


class Provider:
    """`person` is who is logged in there: the claims about them. `bend` may change the claims of the next ID tokens,
    `description` the document that describes the provider."""

    def __init__(self) -> None:
        self.issuer = ""
        self._keys = [RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) for kid in ("one", "one", "two")]
        self.begin_anew()

    def begin_anew(self) -> None:
        """As if it had just been started, with the same keys."""
        self.key, self.other_key, self.renewed_key = self._keys
        self.sign_with: Any = self.key
        self.header = {"alg": "RS256", "kid": "one"}
        self.person: dict[str, Any] = {"sub": "u-1", "email": "gudang@denpasar.test", "email_verified": True}
        self.bend: Callable[[dict[str, Any]], object] = lambda claims: None
        self.bend_token: Callable[[str], str] = lambda token: token
        self.description: dict[str, Any] = {}
        self.answer_with: str | None = None
        self.says_who_it_is = True
        self.codes: dict[str, dict[str, str]] = {}
        self.used_codes = 0
        self.down = False
        self.redirects_tokens_to = ""

    def describe(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        } | self.description

    def keys(self) -> dict[str, Any]:
        return {"keys": [each.as_dict(private=False) for each in KeySet([self.key]).keys]}

    def authorize(self, asked: dict[str, str]) -> str:
        """Where the browser goes on to: the person agrees at once."""
        assert asked["response_type"] == "code"
        assert asked["client_id"] == CLIENT_ID
        assert asked["code_challenge_method"] == "S256"
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(24)
        self.codes[code] = asked
        told = {"code": code, "state": asked["state"]}
        if self.says_who_it_is:
            told["iss"] = self.issuer
        if self.answer_with:
            told = {"error": self.answer_with, "error_description": "<script>no</script>", "state": asked["state"]}
        return f"{asked['redirect_uri']}?{urlencode(told)}"

    def token(self, sent: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        expected = base64.b64encode(f"{CLIENT_ID}:{_quoted(CLIENT_SECRET)}".encode()).decode()
        plain = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if authorization not in (f"Basic {expected}", f"Basic {plain}"):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(sent.get("code", ""), None)
        verifier = hashlib.sha256(sent.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or asked["redirect_uri"] != sent.get("redirect_uri")
            or base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return 400, {"error": "invalid_grant"}
        self.used_codes += 1
        return 200, {
            "access_token": secrets.token_urlsafe(24),
            "token_type": "Bearer",
            "expires_in": 60,
            "id_token": self.bend_token(self._id_token(asked["nonce"])),
        }

    def _id_token(self, nonce: str) -> str:
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "nonce": nonce} | self.person
        self.bend(claims)
        return jwt.encode(self.header, claims, self.sign_with, algorithms=["RS256", "HS256", "ES256"])


def unsigned(token: str) -> str:
    """The same claims with `alg: none`."""
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"one"}').rstrip(b"=").decode()
    return f"{header}.{token.split('.')[1]}."


def secret_as_key() -> OctKey:
    return OctKey.import_key(CLIENT_SECRET)


def another_kind_of_key() -> ECKey:
    return ECKey.generate_key("P-256", {"kid": "one"})


class _Handler(BaseHTTPRequestHandler):
    provider: Provider

    def do_GET(self) -> None:
        parts, provider = urlsplit(self.path), self.provider
        if provider.down:
            self._tell(503, {"error": "down"})
        elif parts.path == "/.well-known/openid-configuration":
            self._tell(200, provider.describe())
        elif parts.path == "/keys":
            self._tell(200, provider.keys())
        elif parts.path == "/authorize":
            self._go(provider.authorize({name: values[0] for name, values in parse_qs(parts.query).items()}))
        else:
            self._tell(404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.provider.redirects_tokens_to:
            self._go(self.provider.redirects_tokens_to, 307)
            return
        sent = {name: values[0] for name, values in parse_qs(body).items()}
        self._tell(*self.provider.token(sent, self.headers.get("Authorization", "")))

    def _tell(self, status: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _go(self, address: str, status: int = 302) -> None:
        self.send_response(status)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def providing() -> Iterator[Provider]:
    """A provider that serves until the block ends."""
    provider = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": provider}))
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _quoted(text: str) -> str:
    return quote(text, safe="")
