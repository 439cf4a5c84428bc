"""The enablement-service registry (赋能服务平台): its contract, the invocation gateway, the joint-test runner, commands."""
