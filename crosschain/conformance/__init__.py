"""The joint-test kit: does a chain offer what JR/T 0314 asks for (docs/spec/node-interface.md §8)?"""
