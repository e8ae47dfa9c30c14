/* linear_check.h - is the recorded history of one key linearizable?
 *
 * A history is what several processes did to the key: for each call when it
 * began, when it returned and what it said.  It is linearizable if every call
 * can be thought to have happened at one instant between its two times, in
 * an order that explains every answer.  A call whose process was killed ends
 * at the death, and has happened before that or not at all.
 *
 * The times are gone through in order with the set of all states the key can
 * be in (after Wing and Gong 1993, and Lowe 2017): when a call returns, the
 * states in which it has not happened yet are carried on through every order
 * of the calls under way in which it then has.  An empty set is a violation.
 */

#ifndef LINEAR_CHECK_H
#define LINEAR_CHECK_H

#include "rig.h"

#define ABSENT INT64_MIN
#define SEATS_MAX 16u

typedef enum call {
    CALL_GET,
    CALL_EXISTS,
    CALL_SET,
    CALL_SETNX,
    CALL_SETXX,
    CALL_DELETE,
    CALL_GETDEL,
    CALL_DELETE_EQUAL,
    CALL_SET_EQUAL,
    CALL_ADD,
    CALLS
} call_t;

typedef struct event {
    uint64_t begin_ns;
    uint64_t end_ns;       /* 0: under way */
    int64_t argument;      /* the value set, added or expected */
    int64_t second;        /* the value set where it is as expected */
    int64_t value;         /* the answer's value */
    uint8_t call;
    uint8_t result;        /* kv_result_t */
    uint8_t killed;
    uint8_t key;
    uint32_t seat;
} event_t;

/**
 * @param event  of one key, in any order; is sorted
 * @param state  the key's value before the first, ABSENT where it has none
 * @return the index of the event (in the sorted order) whose answer nothing
 *         explains, or -1: the history is linearizable
 */
int64_t linear_check(event_t *event, uint32_t events, int64_t state);

const char *call_name(uint8_t call);

#endif
