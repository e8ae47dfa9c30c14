# Tests of the ephpm command.

EXTRA_DIST += t/cli/Cli.pm
dist_check_SCRIPTS += t/cli/config.t t/cli/kv.t t/cli/serve.t
if HAVE_TOML
TESTS += t/cli/config.t t/cli/kv.t t/cli/serve.t
endif
