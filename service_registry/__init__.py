"""The enablement-service registry (赋能服务平台): contract, gateway, joint-test runner, commands."""
