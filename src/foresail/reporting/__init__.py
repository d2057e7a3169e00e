"""Reports of a finished run: HTML, the last screen of the terminal, and the page that documents the run folder."""
