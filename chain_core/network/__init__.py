"""Links between nodes and to clients, and the ingress that decodes and authenticates what arrives on them.

Only the ingress makes verified values; everything above it accepts nothing else.
"""

import os

# gRPC's core writes its own lines to standard error, between our structured ones; what matters comes back typed.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
