"""Shipped test kit: builders and fakes for tests of Foresail and of plug-ins. Nothing in foresail imports it."""
