/* requests.h - what a client may send, any bytes at all.
 *
 * One input is a way to serve and a stream of bytes.  Two connections to two
 * stores that are alike get the stream: one all of it at once, the other in
 * pieces, with pauses and turns.  Whatever the bytes are, nothing crashes, both
 * stores are whole, every answer is well formed, both clients get the same
 * ones, and who does not know the password changes nothing.
 *
 *      byte 0   what the second connection's service is like: bit 0 turns,
 *               bit 1 a short output, bit 2 little memory for it (the answers
 *               are not compared then); bit 3 both ask for a password
 *      byte 1   how the stream is cut
 *      the rest the stream
 */

#ifndef REQUESTS_H
#define REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Of the password, where one is asked for. */
#define REQUESTS_PASSWORD "pw"

/** What became of one input. */
typedef struct requests_result {
    unsigned replies;    /* to the first connection */
    unsigned errors;     /* of those */
    bool closed;         /* the first connection was, or was lost */
    bool compared;       /* nothing in it was of the moment */
} requests_result_t;

/** Make the stores that every input starts from; once. */
void requests_setup(void);

/** Run one input.  What is wrong is told on stderr, and ends by abort(). */
requests_result_t requests_run(const uint8_t *input, size_t bytes);

#endif
