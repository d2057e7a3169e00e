"""Commands. They read options, call one use case of ``service`` and print; nothing is decided here."""
