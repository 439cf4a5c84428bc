"""Known answers every provider must give before it is used (GB/T 32905-2016 A.1, GB/T 32918.5-2017 A.2)."""

from __future__ import annotations

from chain_core.crypto.errors import CryptoUnavailable
from chain_core.crypto.provider import CryptoProvider

SM3_MESSAGE = b"abc"
SM3_DIGEST = bytes.fromhex("66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0")
SM2_PUBLIC_KEY = bytes.fromhex(
    "09f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SM2_MESSAGE = b"message digest"
SM2_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


def check(provider: CryptoProvider) -> None:
    """Raises CryptoUnavailable naming the first answer that is wrong."""
    good = (SM2_PUBLIC_KEY, SM2_MESSAGE, SM2_SIGNATURE)
    altered = (SM2_PUBLIC_KEY, SM2_MESSAGE + b".", SM2_SIGNATURE)
    answers = {
        "SM3": provider.sm3(SM3_MESSAGE) == SM3_DIGEST,
        "SM3 over records": provider.sm3_records(SM3_MESSAGE * 2, 3) == SM3_DIGEST * 2,
        "SM2 verification": provider.sm2_verify_many([good, altered]) == [True, False],
    }
    for name, right in answers.items():
        if not right:
            raise CryptoUnavailable(
                f"{name} gives a wrong answer on the standard's example",
                where=provider.name,
                next_step="choose another provider with DUALCHAIN_CRYPTO and report the library's version",
            )
