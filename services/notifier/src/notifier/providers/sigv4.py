"""Signatures of requests to Amazon's services, version 4: a request proves that its sender knows the secret.

What is signed is a canonical form of the request, by a key that the day, the region and the service are mixed into:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs requests of one access key to a service in a region. `token`: of temporary credentials, else empty."""

    access_key: str = field(repr=False)
    secret: str = field(repr=False)
    region: str
    service: str
    token: str = field(default="", repr=False)

    def post(
        self, authority: str, path: str, content: bytes, headers: Mapping[str, str], now: datetime
    ) -> dict[str, str]:
        """Return the headers of a signed POST: those given, and those that the signature needs.

        `authority`: as the header Host has it; `now`: in UTC. Amazon takes a request until five minutes later.
        """
        time = now.strftime("%Y%m%dT%H%M%SZ")
        sent = {**headers, "X-Amz-Date": time} | ({"X-Amz-Security-Token": self.token} if self.token else {})
        lower = {name.lower(): " ".join(value.split()) for name, value in {**sent, "Host": authority}.items()}
        names = sorted(lower)
        signed = ";".join(names)
        lines = [f"{name}:{lower[name]}" for name in names]
        canonical = "\n".join(["POST", quote(path, "/~"), "", *lines, "", signed, sha256(content).hexdigest()])
        scope = f"{time[:8]}/{self.region}/{self.service}/aws4_request"
        to_sign = "\n".join([_ALGORITHM, time, scope, sha256(canonical.encode()).hexdigest()])
        signature = hmac.new(self._key(scope), to_sign.encode(), sha256).hexdigest()
        credential = f"Credential={self.access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        return {**sent, "Authorization": f"{_ALGORITHM} {credential}"}

    def _key(self, scope: str) -> bytes:
        key = f"AWS4{self.secret}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), sha256)
        return key
