"""One process of a chain: the driver that performs effects, sync, the safe signer, the API service and assembly."""
