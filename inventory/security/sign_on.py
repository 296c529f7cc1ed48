"""Single sign-on by OpenID Connect: the code flow with PKCE, state and nonce, and an ID token of which signature,
issuer, audience, time and nonce are checked.

Only the provider of the settings is ever asked, at the addresses that its own description gives; nothing of what it
says reaches a page.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.base_client.errors import MismatchingStateError
from authlib.integrations.flask_client import OAuth
from authlib.integrations.flask_client.apps import FlaskOAuth2App
from authlib.integrations.requests_client import OAuth2Session
from flask import Flask, Response, current_app, redirect, request, session, url_for
from flask_security import login_user
from joserfc.errors import JoseError
from requests import RequestException

from inventory.config import Config
from inventory.db import db
from inventory.domain.errors import Elsewhere, Invalid, NotAllowed
from inventory.models import Person
from inventory.services.sign_on import Arrival, Told

NAME = "sign-on"
SCOPE = "openid email profile"
TIMEOUT_SECONDS = 10
LEEWAY_SECONDS = 60
SIGNATURES = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""With the provider's own key: never `none`, and never the secret that we know as well."""
SECOND_FACTORS = {
    "mfa",
    "phr",
    "phrh",
    "http://schemas.openid.net/pape/policies/2007/06/multi-factor",
}
"""What a provider's `amr` or `acr` calls more than one factor."""
NEXT = "sign_on_next"

log = logging.getLogger(__name__)


class _Session(OAuth2Session):
    """Follows no redirects: neither a code nor a secret goes where the provider's description does not say."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_redirects = 0


class _Provider(FlaskOAuth2App):
    client_cls = _Session

    def load_server_metadata(self) -> dict[str, Any]:
        if "_loaded_at" not in self.server_metadata:
            try:
                super().load_server_metadata()
                _check(self.server_metadata, _settings().OIDC_ISSUER)
            except BaseException:
                self.server_metadata.clear()
                raise
        return self.server_metadata


class _SignOn(OAuth):
    oauth2_client_cls = _Provider


def init_app(app: Flask) -> None:
    app.context_processor(lambda: {"sign_on_name": name()})


def name() -> str:
    """What the provider is called on the log-in page; empty where there is none."""
    settings = _settings()
    return settings.OIDC_ISSUER and (settings.OIDC_NAME or urlsplit(settings.OIDC_ISSUER).hostname or "")


def start(next_path: str) -> Response:
    """Send the reader to the provider, to come back to `next_path`, a path on this site, in the end. Raises Elsewhere
    `sign_on_away`."""
    for key in [key for key in session if key.startswith("_state_")]:
        session.pop(key)  # of earlier tries: a cookie holds only so much
    session[NEXT] = next_path
    back = url_for("sign_on.back")
    public = _settings().PUBLIC_URL
    address = public.rstrip("/") + back if public else url_for("sign_on.back", _external=True)
    try:
        return _provider().authorize_redirect(address)
    except (RequestException, OAuthError, ValueError, RuntimeError) as error:
        raise _away(error) from None


def finish() -> Told:
    """What the provider says of whoever comes back from it.

    Raises Invalid `sign_on_stale` for what did not begin in this browser, was used before or too long ago, NotAllowed
    `sign_on_refused` for what the provider or a check of ours refuses, Elsewhere `sign_on_away`.
    """
    provider = _provider()
    # Who mixes providers up says so (RFC 9207); one that does not send it is told apart by the token's issuer.
    if request.args.get("iss", _settings().OIDC_ISSUER) != _settings().OIDC_ISSUER:
        raise _refused("another issuer")
    if not request.args.get("state") or not provider.framework.get_state_data(session, request.args["state"]):
        raise Invalid("sign_on_stale")
    options = {
        "iss": {"essential": True, "value": _settings().OIDC_ISSUER},
        "aud": {"essential": True, "value": _settings().OIDC_CLIENT_ID},
        "sub": {"essential": True},
        "nonce": {"essential": True},
    }
    try:
        token = provider.authorize_access_token(claims_options=options, leeway=LEEWAY_SECONDS)
    except MismatchingStateError:
        raise Invalid("sign_on_stale") from None
    except RequestException as error:
        raise _away(error) from None
    except (OAuthError, JoseError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise _refused(error) from None
    claims = token.get("userinfo")
    if not claims:
        raise _refused("no ID token")
    return _told(claims)


def enter(arrived: Arrival, told: Told) -> Any:
    """Log in whoever this is, or ask for the second factor: where the provider did not, and in any case before an
    account is linked that has one. The answer."""
    person: Any = db.session.get(Person, arrived.person_id)
    target = session.pop(NEXT, "/")
    if arrived.to_link or not told.second_factor:
        plugins = current_app.extensions["security"].two_factor_plugins
        asked = plugins.tf_enter(person, False, "oidc", next_loc=target)
        if asked and arrived.to_link:
            session["entering"] = session["entering"] | {"link": [told.issuer, told.subject]}
        if asked:
            return asked
    login_user(person, remember=False, authn_via=["oidc"])
    if told.second_factor:
        session["second"] = True
    return redirect(target, 303)


def _told(claims: Mapping[str, Any]) -> Told:
    from inventory import security

    methods = claims.get("amr") or []
    said = {claims.get("acr"), *(methods if isinstance(methods, list) else [])}
    subject, email = claims["sub"], claims.get("email")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255:
        raise _refused("a subject that cannot be kept")
    try:
        email = security.normalised_email(email) if isinstance(email, str) and len(email) <= 255 else ""
    except Invalid:
        email = ""
    return Told(
        issuer=_settings().OIDC_ISSUER,
        subject=subject,
        email=email,
        email_verified=claims.get("email_verified") is True,
        second_factor=any(isinstance(each, str) and each in SECOND_FACTORS for each in said),
    )


def _check(metadata: dict[str, Any], issuer: str) -> None:
    """The description is that of the issuer, and its addresses are as safe as the issuer's own."""
    if metadata.get("issuer") != issuer:
        raise ValueError(f"its description is that of {str(metadata.get('issuer'))[:100]!r}")
    scheme = urlsplit(issuer).scheme
    for key in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if urlsplit(str(metadata.get(key))).scheme not in ("https", scheme):
            raise ValueError(f"its {key} is not https")
    offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
    metadata["id_token_signing_alg_values_supported"] = [each for each in offered if each in SIGNATURES]


def _provider() -> Any:
    """The client, with what it knows of the provider; made when it is first needed."""
    if NAME not in current_app.extensions:
        settings = _settings()
        current_app.extensions[NAME] = _SignOn(current_app).register(
            NAME,
            client_id=settings.OIDC_CLIENT_ID,
            client_secret=settings.OIDC_CLIENT_SECRET or None,
            server_metadata_url=settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration",
            client_kwargs={"scope": SCOPE, "code_challenge_method": "S256", "default_timeout": TIMEOUT_SECONDS},
        )
    return current_app.extensions[NAME]


def _settings() -> Config:
    return current_app.config["SETTINGS"]


def _away(error: object) -> Elsewhere:
    log.warning("single sign-on: the provider does not answer as it should: %s", _one_line(error))
    return Elsewhere("sign_on_away")


def _refused(error: object) -> NotAllowed:
    log.warning("single sign-on was refused: %s", _one_line(error))
    return NotAllowed("sign_on_refused")


def _one_line(error: object) -> str:
    """For a log: what came from outside neither breaks its lines nor floods it."""
    return f"{type(error).__name__}: {error}".encode("unicode_escape").decode()[:200]
