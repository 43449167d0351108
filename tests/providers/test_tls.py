"""Over https: the certificate is checked, an authority of one's own is trusted by SSL_CERT_FILE."""

from pathlib import Path

import pytest
from tests.integration.certificates import server_tls
from tests.integration.scripted_http import ScriptedHttpServer

from notifier.errors import ServerAway

from .conftest import OpenSender
from .letters import WELCOME


def test_a_certificate_must_be_trusted(opened: OpenSender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = tmp_path / "provider.pem"
    with ScriptedHttpServer(tls=server_tls("localhost", certificate)) as server:
        url = f"postmark://s3cret@localhost:{server.port}"
        with pytest.raises(ServerAway, match=r"no connection .*certificate verify failed") as caught:
            opened(url).send(WELCOME)
        assert "s3cret" not in str(caught.value)
        assert server.requests == []

        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        opened(url).send(WELCOME)
        with pytest.raises(ServerAway, match="certificate"):
            opened(url.replace("localhost", "127.0.0.1")).send(WELCOME)
    assert [request.target for request in server.requests] == ["/email"]
