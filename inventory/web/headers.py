"""Headers on every answer: what a browser may do with a page, and who may keep it."""

from __future__ import annotations

from collections.abc import Collection

from flask import Flask, Response, current_app, g, request

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
    )
)
OWN_FEATURES = ("camera", "fullscreen", "publickey-credentials-create", "publickey-credentials-get")
"""What pages of this site use: the camera reads codes on cartons, passkeys log people in."""
NO_FEATURES = (
    "accelerometer",
    "autoplay",
    "display-capture",
    "encrypted-media",
    "geolocation",
    "gyroscope",
    "hid",
    "idle-detection",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY = ", ".join((*(f"{name}=(self)" for name in OWN_FEATURES), *(f"{name}=()" for name in NO_FEATURES)))
TWO_YEARS = 63_072_000


def init_app(app: Flask, for_everybody: Collection[str]) -> None:
    """`for_everybody` are the endpoints whose answers say themselves how long they may be kept."""

    def add(response: Response) -> Response:
        headers = response.headers
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Permissions-Policy"] = PERMISSIONS_POLICY
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        # A badge of the public board is made for other sites, and says so itself.
        headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        if request.endpoint not in for_everybody or response.status_code >= 400:
            # Pages show stock that the next person at the same desk may not be allowed to see; a page that says what
            # went wrong names its reader, whatever was asked for.
            headers["Cache-Control"] = "no-store"
            if g.get("kept_by_reader") and response.status_code < 400:
                headers["Cache-Control"] = "private, no-cache"
        if current_app.config["SETTINGS"].production:
            headers["Strict-Transport-Security"] = f"max-age={TWO_YEARS}; includeSubDomains"
        return response

    app.after_request(add)
