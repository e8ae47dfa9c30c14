/* ephpm_jobs_check.c - the audit of a job table; see J1-J5 in ephpm_jobs.h.
 */

#include "ephpm_jobs_private.h"

#include <stdlib.h>

static const char *check_word(const ephpm_jobs_t *jobs, uint64_t word)
{
    bool s = (word & WORD_S) != 0;
    bool r = (word & WORD_R) != 0;

    switch (word_state(word)) {
    case EPHPM_JOB_FREE:
        if (s || r) {
            return "J1: a free slot is held";
        }
        return NULL;
    case STATE_CLAIMING:
    case EPHPM_JOB_FILLING:
    case EPHPM_JOB_READY:
        if (!s || r) {
            return "J1: a job that waits is not its submitter's alone";
        }
        break;
    case EPHPM_JOB_RUNNING:
    case EPHPM_JOB_ANSWERED:
    case EPHPM_JOB_ENDING:
        if (!r) {
            return "J1: a job runs without a runner";
        }
        break;
    case EPHPM_JOB_DONE:
    case EPHPM_JOB_CRASHED:
        if (!s || r) {
            return "J1: a job that has ended is not its submitter's alone";
        }
        break;
    case EPHPM_JOB_KILLED:
        if (!s && !r) {
            return "J1: nobody has let go of a killed job";
        }
        break;
    default:
        return "J1: there is no such state";
    }
    if (r && word_runner(word) >= jobs->config.runners) {
        return "J4: no such runner";
    }
    if (s && word_submitter(word) >= jobs->config.submitters) {
        return "J4: no such submitter";
    }
    return NULL;
}

/* Of a job that has begun. */
static const char *check_ring(const ephpm_jobs_t *jobs, uint32_t index,
                              uint64_t word)
{
    uint32_t number = ld_rlx(&jobs->slot[index].ring);

    if (number == 0) {
        return NULL; /* the runner died before it began one */
    }
    if (number > jobs->rings || (number - 1) / 2 != word_runner(word)) {
        return "J3: a job's ring is not its runner's";
    }
    const ring_t *ring = &jobs->ring[number - 1];
    if ((word & WORD_S) != 0 &&
        ld_rlx(&ring->bearer) !=
            ((uint64_t)(index + 1) << 32 | word_ticket(word))) {
        return "J3: a job's ring bears another";
    }
    if (ld_rlx(&ring->head) - ld_rlx(&ring->tail) > EPHPM_RING_BYTES) {
        return "J4: a ring's offsets are apart by more than its size";
    }
    return NULL;
}

static bool begun(uint64_t word)
{
    return word_state(word) >= EPHPM_JOB_RUNNING &&
           word_state(word) <= EPHPM_JOB_CRASHED;
}

static int by_ticket(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static const char *check_tickets(const ephpm_jobs_t *jobs)
{
    uint32_t next = ld_rlx(&jobs->head->ticket);
    uint32_t *tickets = malloc(jobs->slots * sizeof(*tickets));
    uint32_t count = 0;
    const char *broken = NULL;

    if (tickets == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t word = ld_rlx(&jobs->words[i]);
        if (word_state(word) != EPHPM_JOB_FREE &&
            word_state(word) != STATE_CLAIMING) {
            tickets[count++] = word_ticket(word);
            if (!ticket_before(word_ticket(word), next)) {
                broken = "J5: a ticket that was not dealt yet";
            }
        }
    }
    qsort(tickets, count, sizeof(*tickets), by_ticket);
    for (uint32_t i = 1; i < count; i++) {
        if (tickets[i] == tickets[i - 1]) {
            broken = "J5: a ticket was dealt twice";
        }
    }
    free(tickets);
    return broken;
}

const char *ephpm_jobs_check(const ephpm_jobs_t *jobs)
{
    uint64_t busy[(EPHPM_RUNNERS_MAX + 63) / 64] = { 0 };

    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t word = ld_acq(&jobs->words[i]);
        const char *broken = check_word(jobs, word);
        if (broken == NULL && begun(word)) {
            broken = check_ring(jobs, i, word);
        }
        if (broken != NULL) {
            return broken;
        }
        if (ld_rlx(&jobs->slot[i].request_bytes) > EPHPM_REQUEST_BYTES) {
            return "J4: a request is larger than its area";
        }
        if ((word & WORD_R) != 0) {
            uint32_t runner = word_runner(word);
            if ((busy[runner / 64] >> runner % 64 & 1) != 0) {
                return "J1: a runner has two jobs";
            }
            busy[runner / 64] |= UINT64_C(1) << runner % 64;
        }
    }
    for (uint32_t i = 0; i < jobs->rings; i++) {
        uint64_t bearer = ld_rlx(&jobs->ring[i].bearer);
        uint32_t slot = (uint32_t)(bearer >> 32) - 1;
        if (bearer != 0 && slot >= jobs->slots) {
            return "J4: a ring bears no slot there is";
        }
        if (bearer != 0 && (jobs->words[slot] & WORD_S) != 0 &&
            word_ticket(jobs->words[slot]) == (uint32_t)bearer &&
            ld_rlx(&jobs->slot[slot].ring) != i + 1 &&
            ld_rlx(&jobs->slot[slot].ring) != 0) {
            return "J3: two rings bear a job";
        }
    }
    return check_tickets(jobs);
}
