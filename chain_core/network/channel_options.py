"""gRPC settings that both ends must agree on, in one place (docs/spec/network.md §1)."""

from __future__ import annotations

from typing import Final

MAX_MESSAGE_BYTES: Final = 17_000_000
"""A request or response: one block of 16,000,000 bytes and what surrounds it."""

MAX_METADATA_BYTES: Final = 16_384

# A client may ping every 20 s; a server tolerates one every 10 s. Equal numbers would end in too_many_pings when
# a timer fires a moment early.
_KEEPALIVE_MS = 20_000
_TOLERATED_PING_MS = 10_000

_COMMON: Final[tuple[tuple[str, int], ...]] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # A vote's bytes leave in one piece even when larger frames surround it.
    ("grpc.http2.max_frame_size", 1_048_576),
)

SERVER_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    *_COMMON,
    ("grpc.http2.min_recv_ping_interval_without_data_ms", _TOLERATED_PING_MS),
    ("grpc.max_concurrent_streams", 1_024),
    # Two processes on one port would both believe that it is theirs.
    ("grpc.so_reuseport", 0),
)

CLIENT_OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    *_COMMON,
    # Requests are repeated by us, with ids that make it safe; never behind our back.
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Two links to one address share nothing: the end of one does not disturb the other.
    ("grpc.use_local_subchannel_pool", 1),
)
