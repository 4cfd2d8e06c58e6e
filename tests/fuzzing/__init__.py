"""Random input for as long as somebody wants to wait; it is no part of the test suite, which tries the same with few examples."""
