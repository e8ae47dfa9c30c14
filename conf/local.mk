# Configuration samples; the server tests load these very files.
