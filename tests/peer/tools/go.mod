// Mock MLNode and load generator for the tests. Standard library only.
module mltunnel/tests/peer/tools

go 1.24.0
