"""Ways out for messages: SMTP, webhooks, and through Apprise the services that it speaks.

E-mail goes through the standard library and not through Apprise, which can neither keep a connection for many messages,
nor set the Message-ID and List-Unsubscribe, nor say why a server refused. Webhooks are our own because they are
signed, and because a request that people can aim must not reach into the installation's network.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import smtplib
import socket
import ssl
import threading
from collections.abc import Mapping
from email.message import EmailMessage
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

TIMEOUT = 10.0
"""Seconds without a sign from the other side."""
WHOLE = 20.0
"""Seconds that a webhook has for everything: one that answers a byte at a time gets no more."""


class SendFailed(Exception):
    """A message was not taken. `permanent`: trying again is no use. `away`: the server itself cannot be reached or
    used, so that others that go through it need not be tried now."""

    def __init__(self, words: str, *, permanent: bool = False, away: bool = False) -> None:
        super().__init__(_one_line(words))
        self.permanent, self.away = permanent, away


def _one_line(words: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", words)[:300]


# --- e-mail ------------------------------------------------------------------------------------------------------


class Mailer:
    """An SMTP server: `smtp://user:password@host:587` (STARTTLS when the server offers it, always before a password
    is sent) or `smtps://…:465`. The connection is kept from message to message, and made anew when it breaks.

    `smtp://…?tls=no` sends in the clear, for a server on the same machine.
    """

    def __init__(self, url: str, sender: str, timeout: float = TIMEOUT) -> None:
        self.address, self.sender, self.timeout = urlsplit(url), sender, timeout
        self.plain = parse_qs(self.address.query).get("tls") == ["no"]
        self._connection: smtplib.SMTP | None = None

    def send(self, to: str, subject: str, text: str, headers: Mapping[str, str]) -> None:
        """Raises SendFailed."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self.sender, to, _one_line(subject)
        for name, value in headers.items():
            message[name] = value
        message.set_content(text)
        kept = self._connection is not None
        try:
            self._hand_over(message)
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            self.close()
            if not kept:
                raise SendFailed("the mail server broke off", away=True) from None
            # A server may close a connection that was idle: that says nothing about this message.
            self._hand_over_anew(message)

    def _hand_over_anew(self, message: EmailMessage) -> None:
        try:
            self._hand_over(message)
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            self.close()
            raise SendFailed("the mail server broke off", away=True) from None

    def _hand_over(self, message: EmailMessage) -> None:
        connection = self._connected()
        try:
            connection.send_message(message)
        except smtplib.SMTPRecipientsRefused as refused:
            code, words = next(iter(refused.recipients.values()))
            self._reset()
            raise SendFailed(f"{code} {_text(words)}", permanent=500 <= code < 600) from None
        except smtplib.SMTPServerDisconnected:
            raise
        except smtplib.SMTPResponseException as refused:
            self._reset()
            away = refused.smtp_code == 421 or isinstance(refused, smtplib.SMTPSenderRefused)
            raise SendFailed(f"{refused.smtp_code} {_text(refused.smtp_error)}", away=away) from None
        except TimeoutError:
            self.close()
            raise SendFailed("the mail server does not answer", away=True) from None

    def _connected(self) -> smtplib.SMTP:
        if self._connection is None:
            try:
                self._connection = self._connect()
            except (OSError, smtplib.SMTPException) as error:
                raise SendFailed(f"the mail server cannot be used: {error}", away=True) from None
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        host = self.address.hostname or ""
        if self.address.scheme == "smtps":
            connection: smtplib.SMTP = smtplib.SMTP_SSL(
                host, self.address.port or 465, timeout=self.timeout, context=ssl.create_default_context()
            )
        else:
            connection = smtplib.SMTP(host, self.address.port or 587, timeout=self.timeout)
        try:
            self._introduce(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _introduce(self, connection: smtplib.SMTP) -> None:
        connection.ehlo_or_helo_if_needed()
        wants_tls = self.address.scheme == "smtp" and not self.plain
        if wants_tls and (connection.has_extn("starttls") or self.address.username):
            # Without the extension this fails, as it must before a password.
            connection.starttls(context=ssl.create_default_context())
        if self.address.username:
            connection.login(unquote(self.address.username), unquote(self.address.password or ""))

    def _reset(self) -> None:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            if self._connection is not None:
                self._connection.rset()

    def close(self) -> None:
        """Leave the server; what comes next connects anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words


# --- webhooks ----------------------------------------------------------------------------------------------------


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private: bool,
    timeout: float = TIMEOUT,
    whole: float = WHOLE,
) -> None:
    """POST a body; any answer of 2xx counts as taken. Raises SendFailed.

    The name is resolved once, every address it has must be public unless `private` allows others, and the connection
    goes to the address that was looked at: a name cannot change between look and use. Redirects are not followed.
    """
    parts = urlsplit(url)
    address = _address(parts, private)
    connection = _Pinned(parts, address, timeout)
    # The clock for the whole exchange: each read has its own, which a slow drip never lets run out.
    breaker = threading.Timer(whole, connection.break_off)
    breaker.daemon = True
    breaker.start()
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {"Content-Type": "application/json", **headers})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SendFailed(f"{type(error).__name__}: {error}") from None
    finally:
        breaker.cancel()
        connection.close()
    if not 200 <= status < 300:
        raise SendFailed(f"HTTP {status}", permanent=status == 410)


def _address(parts: SplitResult, private: bool) -> tuple[str, int]:
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or (parts.scheme == "http" and not private):
        raise SendFailed("a webhook needs https", permanent=True)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError) as error:
        raise SendFailed(f"{host}: {error}") from None
    addresses = [str(each[4][0]) for each in found]
    if not addresses or (not private and not all(is_public(each) for each in addresses)):
        raise SendFailed(f"{host} lies within a private network", permanent=True)
    return addresses[0], port


def is_public(address: str) -> bool:
    """Whether an IP address is one of the internet's: not loopback, private, link-local, shared or reserved, also when
    it is an IPv4 address in IPv6 clothes."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        embedded = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            embedded = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if embedded is not None:
            return _is_public_v4(embedded)
        # Of IPv6 only this part is given out: outside of it lie old ways to write IPv4 addresses, and local ones.
        return ip in _GIVEN_OUT and ip not in _EXAMPLES and ip.is_global
    return _is_public_v4(ip)


def _is_public_v4(ip: ipaddress.IPv4Address) -> bool:
    return ip.is_global and not ip.is_multicast and not any(ip in each for each in _SPECIAL)


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GIVEN_OUT = ipaddress.IPv6Network("2000::/3")
_EXAMPLES = ipaddress.IPv6Network("3fff::/20")
_SPECIAL = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("192.88.99.0/24"))
"""Protocols' own addresses, and relays to IPv6."""


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was resolved before, under the name that the certificate has to bear."""

    def __init__(self, parts: SplitResult, address: tuple[str, int], timeout: float) -> None:
        super().__init__(parts.hostname or "", parts.port or address[1], timeout=timeout)
        self.default_port = 443 if parts.scheme == "https" else 80
        self._to = address
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None

    def connect(self) -> None:
        plain = socket.create_connection(self._to, self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host) if self._tls else plain
        except BaseException:
            plain.close()
            raise

    def break_off(self) -> None:
        sock = self.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


# --- other services ----------------------------------------------------------------------------------------------


def notify(url: str, title: str, text: str) -> None:
    """Send through Apprise to the service that an address of its kind names. Raises SendFailed."""
    import apprise  # slow to import, and only a process that sends needs it

    sender = apprise.Apprise()
    if not sender.add(url):
        raise SendFailed("the service does not know this address", permanent=True)
    if not sender.notify(body=text, title=title, body_format=apprise.NotifyFormat.TEXT):
        raise SendFailed("the service did not take the message")
