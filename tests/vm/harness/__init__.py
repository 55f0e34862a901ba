"""Boots real Debian kernels under QEMU and runs the guest scenarios in them."""
