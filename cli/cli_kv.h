/* cli_kv.h - `ephpm kv`: a running server's store from the shell.
 *
 * Through the server's listener (EphpmResp, ephpm_kv_resp), as any client of
 * Redis's would; cli has no store itself.
 */

#ifndef CLI_KV_H
#define CLI_KV_H

/** The usage, for messages about the command line; ends with a newline. */
extern const char cli_kv_usage[];

/**
 * Run the command line from "kv" on.
 *
 * Returns its exit code: 0, 1 for a key that is missing, or one of
 * <sysexits.h> after one sentence on stderr.
 */
int cli_kv(int argc, char **argv);

#endif
