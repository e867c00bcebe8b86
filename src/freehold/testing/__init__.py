"""Testing: fakes and conformance suites, shipped so that whoever writes a driver can use them."""
