"""Requests with an upgrade of the protocol. None is supported, and HTTP then requires that the header is ignored."""

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class IgnoreUpgrades(HttpToolsProtocol):
    """uvicorn's protocol, except that a request with an upgrade is read like any other."""

    __slots__ = ()

    def parse(self, data: bytes) -> None:
        """Call the parser's callbacks for what is in the data.

        After a head with `Upgrade` the parser stops, and leaves what follows to another protocol. So a new parser gets
        the head again, without the header. (The old one reads no more if the request says `Connection: close`.)

        Raises:
            HttpParserError: it isn't HTTP/1.1, or a callback raised it.
        """
        while data:
            try:
                self.parser.feed_data(data)
                data = b""
            except HttpParserUpgrade as stopped:
                data = self._head_without_upgrade() + data[stopped.args[0] :]
                self.parser = HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's

    def refuse_connect(self) -> None:
        """Refuse CONNECT, which is an upgrade without the header."""
        raise NotImplementedError  # the protocol that parses requests does it

    def _should_upgrade(self) -> bool:
        """Make uvicorn skip a request with an upgrade; `parse` then reads it without the header."""
        return True

    def _head_without_upgrade(self) -> bytes:
        method, version = self.scope["method"], self.scope["http_version"]
        if method == "CONNECT":
            self.refuse_connect()
            raise HttpParserError
        lines = [b"%b %b HTTP/%b" % (method.encode(), self.url, version.encode())]
        lines += [name + b": " + value for name, value in self.scope["headers"] if name != b"upgrade"]
        return b"\r\n".join(lines) + b"\r\n\r\n"
