"""Provider on Intel's multi-buffer library: SM2 verification in 8 lanes, SM3 in 16, off the GIL.

The library checks neither that a key lies on the curve nor that [s]G + [t]P is finite (it then compares r
with e + 0, which the key's owner can satisfy for any message), it signs with whatever nonce it is given, and
it crashes on messages of different sizes in one SM2 call. All four are guarded here, so that this provider
answers as the others do. Single hashes, key derivation and all signatures but those of
``sm2_sign_many_for_clients`` come from libcrypto.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from chain_core.crypto.cache import BoundedCache
from chain_core.crypto.ippcrypto import SM2_LANES, SM3_LANES, IppCrypto, lanes_ok, load, unavailable
from chain_core.crypto.openssl import KEY_CACHE_SIZE, OpenSslProvider
from chain_core.crypto.provider import SIGNATURE_SIZE, SM2_USER_ID, SM3_SIZE, VerifyItem
from chain_core.crypto.sm2_domain import (
    ZA_PREFIX,
    N,
    is_on_curve,
    random_scalar,
    signature_in_range,
    sums_to_order,
)

# Below these counts setting up pointer arrays costs more than plain calls.
_SM3_FROM = 8
# Longer messages go one by one: joining them would copy, and the library's lengths are 32-bit.
_LONGEST = 65_536
# The library loads whole blocks, also behind a lane's end; and empty messages need an address.
_MARGIN = bytes(128)

Pointers: TypeAlias = NDArray[np.uint64]
# x and y as little-endian words, Z_A
LaneKey: TypeAlias = tuple[bytes, bytes]
_N_BYTES = N.to_bytes(32, "big")
_N_HIGH, _N_LOW = np.uint64(N >> 192), np.uint64(N & 0xFFFF_FFFF_FFFF_FFFF)
_ALL_RIGHT = [True] * SM2_LANES


class MultiBufferProvider(OpenSslProvider):
    """SM2 and SM3 of libcrypto_mb in lanes, of libcrypto where there is one item only."""

    name = "multibuffer"

    def __init__(self, *, key_cache_size: int = KEY_CACHE_SIZE) -> None:
        """Raises CryptoUnavailable with what is missing: CPU, packages, libcrypto, or right answers."""
        library = load()
        super().__init__(key_cache_size=key_cache_size)
        self._ipp: IppCrypto = library
        # Only keys on the curve enter.
        self._lane_keys: BoundedCache[LaneKey] = BoundedCache(key_cache_size)
        self._user_id = np.frombuffer(SM2_USER_ID, dtype=np.uint8)
        self._user_ids = np.full(SM2_LANES, _address(self._user_id), dtype=np.uint64)
        self._user_id_sizes = np.full(SM2_LANES, len(SM2_USER_ID), dtype=np.int32)
        self._check_lanes()

    # ---- SM3

    def sm3_many(self, messages: Sequence[bytes]) -> list[bytes]:
        sizes = np.fromiter(map(len, messages), dtype=np.int64, count=len(messages))
        if len(messages) < _SM3_FROM or int(sizes.max()) > _LONGEST:
            return super().sm3_many(messages)
        digests = self._sm3_lanes(b"".join(messages), np.cumsum(sizes) - sizes, sizes)
        return [digests[i : i + SM3_SIZE] for i in range(0, len(digests), SM3_SIZE)]

    def sm3_records(self, data: bytes, record_size: int) -> bytes:
        count = len(data) // record_size if record_size > 0 else 0
        if count < _SM3_FROM or count * record_size != len(data) or record_size > _LONGEST:
            return super().sm3_records(data, record_size)
        offsets = np.arange(count, dtype=np.int64) * record_size
        return self._sm3_lanes(data, offsets, np.full(count, record_size, dtype=np.int64))

    def _sm3_lanes(self, data: bytes, offsets: NDArray[np.int64], sizes: NDArray[np.int64]) -> bytes:
        """Digests of ``data[offset : offset + size]`` for each pair; spare lanes hash nothing."""
        count = len(offsets)
        padded = -(-count // SM3_LANES) * SM3_LANES
        source = np.frombuffer(data + _MARGIN, dtype=np.uint8)
        output = np.empty((padded, SM3_SIZE), dtype=np.uint8)
        inputs = _pointers(source, offsets, padded)
        outputs = _pointers(output, np.arange(padded, dtype=np.int64) * SM3_SIZE, padded)
        lengths = np.zeros(padded, dtype=np.int32)
        lengths[:count] = sizes
        at_inputs, at_lengths, at_outputs = _address(inputs), _address(lengths), _address(outputs)
        digest = self._ipp.sm3_digest
        for i in range(0, padded, SM3_LANES):
            if digest(at_inputs + 8 * i, at_lengths + 4 * i, at_outputs + 8 * i):
                raise unavailable("libcrypto_mb reported an SM3 error")
        return output[:count].tobytes()

    # ---- SM2 verification

    def sm2_verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        return self.sm2_verify_many(((public_key, message, signature),))[0]

    def sm2_verify_many(self, items: Sequence[VerifyItem]) -> list[bool]:
        # Lists and arrays throughout: a signature costs the library some 20 microseconds, a Python call half of one.
        verdicts = [False] * len(items)
        keys = self._lane_keys_of([public_key for public_key, _, _ in items])
        fits = _in_order([signature for _, _, signature in items])
        # message size -> indices; one call takes messages of one size only
        groups: dict[int, list[int]] = {}
        for index, item in enumerate(items):
            if fits[index] and keys[index] is not None:
                groups.setdefault(len(item[1]), []).append(index)
        for size, group in groups.items():
            if size > _LONGEST:
                for index in group:
                    verdicts[index] = OpenSslProvider.sm2_verify(self, *items[index])
                continue
            ready = [key for index in group if (key := keys[index]) is not None]
            messages = [items[index][1] for index in group]
            signatures = [items[index][2] for index in group]
            for index, accepted in zip(
                group, self._verify_lanes([key for key, _ in ready], messages, size, signatures), strict=True
            ):
                verdicts[index] = accepted
            hashed = b"".join(
                [part for (_, za), message in zip(ready, messages, strict=True) for part in (za, message)]
            )
            digests = self.sm3_records(hashed, SM3_SIZE + size)
            # r = e means that the sum's x is 0, the library's x of infinity too: let libcrypto decide.
            for lane in _perhaps_equal(digests, signatures):
                if _equal_mod_n(digests[SM3_SIZE * lane : SM3_SIZE * (lane + 1)], signatures[lane][:32]):
                    index = group[lane]
                    verdicts[index] = verdicts[index] and OpenSslProvider.sm2_verify(self, *items[index])
        return verdicts

    def _lane_keys_of(self, public_keys: list[bytes]) -> list[LaneKey | None]:
        found = self._lane_keys.get_many(public_keys)
        if None in found:
            return [key or self._lane_key(public_key) for key, public_key in zip(found, public_keys, strict=True)]
        return found

    def _lane_key(self, public_key: bytes) -> LaneKey | None:
        key = self._lane_keys.get(public_key)
        if key is None:
            if not is_on_curve(public_key):
                return None
            key = (public_key[31::-1] + public_key[:31:-1], self.sm3(ZA_PREFIX + public_key))
            self._lane_keys.put(bytes(public_key), key)
        return key

    def _verify_lanes(self, keys: list[bytes], messages: list[bytes], size: int, signatures: list[bytes]) -> list[bool]:
        """One bool an item, messages all of ``size``; spare lanes repeat the first item."""
        batch = _Batch(keys, messages, size, signatures, _address(self._user_ids), _address(self._user_id_sizes))
        accepted: list[bool] = []
        for arguments in batch.calls():
            status = self._ipp.sm2_verify(*arguments)
            accepted += lanes_ok(status, SM2_LANES) if status else _ALL_RIGHT
        return accepted[: len(keys)]

    def raw_verification(self, items: Sequence[VerifyItem]) -> Callable[[], bool]:
        keys = [key for key in (self._lane_key(public_key) for public_key, _, _ in items) if key is not None]
        batch = _Batch(
            [key for key, _ in keys],
            [message for _, message, _ in items],
            len(items[0][1]),
            [signature for _, _, signature in items],
            _address(self._user_ids),
            _address(self._user_id_sizes),
        )
        verify, calls = self._ipp.sm2_verify, list(batch.calls())

        def run() -> bool:
            status = 0
            for arguments in calls:
                status |= verify(*arguments)
            return status == 0 and bool(batch)

        return run

    # ---- SM2 signing, for clients and benchmarks only

    def sm2_sign_many_for_clients(self, items: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """64-byte signatures over (private key, message) pairs, in order. Raises InvalidKey.

        Nonces come from the system's CSPRNG, rejection-sampled to [1, n-1]: the library takes them as they
        are, and for k = n reports success with a signature that gives the key away. When any lane of a call
        reports anything, all its outputs are dropped and libcrypto signs those messages.
        """
        signatures: list[bytes] = [b""] * len(items)
        groups: dict[int, list[int]] = {}
        for index, (_, message) in enumerate(items):
            groups.setdefault(len(message), []).append(index)
        for size, group in groups.items():
            for start in range(0, len(group), SM2_LANES):
                indices = group[start : start + SM2_LANES]
                batch = [items[index] for index in indices]
                made = self._sign_lanes(batch, size) if size <= _LONGEST else None
                for lane, index in enumerate(indices):
                    signatures[index] = made[lane] if made else self.sm2_sign(*items[index])
        return signatures

    def _sign_lanes(self, batch: Sequence[tuple[bytes, bytes]], size: int) -> list[bytes] | None:
        """Signatures of up to 8 items with messages of ``size``; None unless every lane succeeded."""
        # Spare lanes sign the first message again, under a nonce of their own.
        lanes = [*batch, *[batch[0]] * (SM2_LANES - len(batch))]
        public_keys = b"".join(self._client_public_key(private_key) for private_key, _ in lanes)
        # One secret of 64 bytes a lane: private scalar, nonce. Writable, to be wiped.
        secret = np.frombuffer(
            bytearray(b"".join(private_key[::-1] + random_scalar(N - 1)[::-1] for private_key, _ in lanes)),
            dtype=np.uint8,
        )
        output = np.zeros((SM2_LANES, 64), dtype=np.uint8)
        offsets = np.arange(SM2_LANES, dtype=np.int64) * 64
        text = _Texts([message for _, message in lanes], size, SM2_LANES)
        coordinates = np.frombuffer(public_keys, dtype=np.uint8)
        x, private = _pointers(coordinates, offsets, SM2_LANES), _pointers(secret, offsets, SM2_LANES)
        r = _pointers(output, offsets, SM2_LANES)
        y, nonce, s = x + np.uint64(32), private + np.uint64(32), r + np.uint64(32)
        status = self._ipp.sm2_sign(
            _address(r), _address(s), _address(self._user_ids), _address(self._user_id_sizes),
            text.at_pointers, text.at_sizes,
            _address(nonce), _address(private), _address(x), _address(y), None, None,
        )  # fmt: skip
        secret[:] = 0
        if status:
            return None
        signatures = [row.tobytes() for row in output[: len(batch)]]
        return signatures if all(map(signature_in_range, signatures)) else None

    def _client_public_key(self, private_key: bytes) -> bytes:
        """x and y as little-endian words."""
        public_key = self.sm2_public_key(private_key)
        return public_key[31::-1] + public_key[:31:-1]

    # ---- self-test

    def _check_lanes(self) -> None:
        """Every lane against libcrypto, right and wrong items mixed. Raises CryptoUnavailable."""
        sizes = (0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 129, 200, 3, 32, 97, 31, 96)
        messages = [bytes(range(size)) for size in sizes]
        if self.sm3_many(messages) != [self.sm3(message) for message in messages]:
            raise unavailable("libcrypto_mb's SM3 disagrees with libcrypto's")
        # A few sizes alone in their call, and more than one call of the usual size.
        messages = [b"", bytes(1), bytes(200), *[index.to_bytes(96, "big") for index in range(14)]]
        private_key = random_scalar(N - 2)
        public_key = self.sm2_public_key(private_key)
        signed = self.sm2_sign_many_for_clients([(private_key, message) for message in messages])
        own = [self.sm2_sign(private_key, message) for message in messages]
        # Neighbouring signatures swapped in every third lane.
        mixed = [own[i - 1] if i % 3 == 1 else signature for i, signature in enumerate(own)]
        expected = [i % 3 != 1 for i in range(len(own))]
        items = [(public_key, message, signature) for message, signature in zip(messages, mixed, strict=True)]
        if self.sm2_verify_many(items) != expected:
            raise unavailable("libcrypto_mb's SM2 verification disagrees with libcrypto's")
        if not all(
            OpenSslProvider.sm2_verify(self, public_key, message, signature)
            for message, signature in zip(messages, signed, strict=True)
        ):
            raise unavailable("libcrypto_mb's SM2 signatures do not verify")


class _Batch:
    """Signatures laid out for the library: keys as little-endian words, messages all of ``size``."""

    __slots__ = ("_at", "_bytes", "_padded", "_pointers", "_text")

    def __init__(
        self, keys: list[bytes], messages: list[bytes], size: int, signatures: list[bytes], ids: int, id_sizes: int
    ) -> None:
        self._padded = -(-len(keys) // SM2_LANES) * SM2_LANES
        key_bytes = np.frombuffer(b"".join(keys), dtype=np.uint8)
        signature_bytes = np.frombuffer(b"".join(signatures), dtype=np.uint8)
        self._bytes = (key_bytes, signature_bytes)
        self._text = _Texts(messages, size, self._padded)
        offsets = np.arange(len(keys), dtype=np.int64) * 64
        x = _pointers(key_bytes, offsets, self._padded)
        r = _pointers(signature_bytes, offsets, self._padded)
        self._pointers = (r, r + np.uint64(32), x, x + np.uint64(32))
        self._at = (*map(_address, self._pointers), ids, id_sizes)

    def calls(self) -> Iterator[tuple[int | None, ...]]:
        """The arguments of ``sm2_verify`` for each eight; spare lanes repeat the first item."""
        r, s, x, y, ids, id_sizes = self._at
        text = self._text
        for i in range(0, self._padded, SM2_LANES):
            step = 8 * i
            yield (
                r + step, s + step, ids, id_sizes, text.at_pointers + step, text.at_sizes + 4 * i,
                x + step, y + step, None, None,
            )  # fmt: skip


class _Texts:
    """Messages of one size joined in one buffer, with the arrays of pointers and sizes that the library reads.

    Of one size, because its 8-lane SM3 reads through NULL once a lane has ended two blocks before another.
    """

    __slots__ = ("_buffer", "_pointers", "_sizes", "at_pointers", "at_sizes")

    def __init__(self, messages: list[bytes], size: int, padded: int) -> None:
        self._buffer = np.frombuffer(b"".join(messages) + _MARGIN, dtype=np.uint8)
        self._pointers = _pointers(self._buffer, np.arange(len(messages), dtype=np.int64) * size, padded)
        self._sizes = np.full(padded, size, dtype=np.int32)
        self.at_pointers = _address(self._pointers)
        self.at_sizes = _address(self._sizes)


def _address(array: NDArray[Any]) -> int:
    return int(array.ctypes.data)


def _pointers(array: NDArray[Any], offsets: NDArray[np.int64], padded: int) -> Pointers:
    """Addresses of ``offsets`` into ``array``; the first one repeated up to ``padded``."""
    pointers = np.full(padded, _address(array) + int(offsets[0]), dtype=np.uint64)
    pointers[: len(offsets)] = offsets.astype(np.uint64) + np.uint64(_address(array))
    return pointers


def _equal_mod_n(digest: bytes, r: bytes) -> bool:
    """Whether e = r (mod n) for a 32-byte digest e and an r already below n."""
    if digest >= _N_BYTES:
        return int.from_bytes(digest, "big") - N == int.from_bytes(r, "big")
    return digest == r


def _in_order(signatures: list[bytes]) -> list[bool]:
    """Of each: 64 bytes, r and s in [1, n-1], r + s not n. The highest and lowest words nearly always tell."""
    if set(map(len, signatures)) != {SIGNATURE_SIZE}:
        return [signature_in_range(one) and not sums_to_order(one) for one in signatures]
    words = np.frombuffer(b"".join(signatures), dtype=">u8").astype(np.uint64).reshape(-1, 8)
    one = np.uint64(1)
    # w - 1 < h - 1 without sign: 1 <= w < h, so the number is neither 0 nor n or more.
    sure = (words[:, 0] - one < _N_HIGH - one) & (words[:, 4] - one < _N_HIGH - one)
    sure &= words[:, 3] + words[:, 7] != _N_LOW
    if bool(sure.all()):
        return [True] * len(signatures)
    return [
        known or (signature_in_range(signature) and not sums_to_order(signature))
        for known, signature in zip(sure.tolist(), signatures, strict=True)
    ]


def _perhaps_equal(digests: bytes, signatures: list[bytes]) -> list[int]:
    """The lanes whose e and r agree in their lowest words modulo n: all in which they are equal, hardly another."""
    e = np.frombuffer(digests, dtype=">u8").astype(np.uint64)[3::4]
    r = np.frombuffer(b"".join(signatures), dtype=">u8").astype(np.uint64)[3::8]
    found: list[int] = np.flatnonzero((e == r) | (e - _N_LOW == r)).tolist()
    return found
