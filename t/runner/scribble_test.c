/* scribble_test.c - memory that somebody has scribbled over never makes
 * anybody leave the table, nor go on for ever.
 *
 * A script can write all of the table.  What comes out of it then is
 * whatever the scribbler wants; but a length, an index or an offset from it
 * may not lead out of the table, and each call comes back.
 */

#include "table.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* Each call ends soon, or the case's time limit says that one did not. */
enum { ROUNDS = 20000 / RUNT_SLOWER };

static runt_random_t random_;

static void seed(void)
{
    random_.state = (uint64_t)getpid() << 32 ^ ephpm_jobs_clock_us();
    fprintf(stderr, "# seed %llu\n", (unsigned long long)random_.state);
}

/* Around each area lies memory that nobody may touch. */
static void fence(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = (jobs->bytes + page - 1) / page * page;
    unsigned char *room = mmap(NULL, bytes + 2 * page, PROT_NONE,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(room, MAP_FAILED);
    /* The table's end is the memory's, as near as lines allow. */
    unsigned char *at = room + page + (bytes - jobs->bytes);
    ck_assert_uint_eq((uintptr_t)at % LINE_BYTES,
                      (bytes - jobs->bytes) % LINE_BYTES);
    ck_assert_int_eq(mprotect(room + page, bytes, PROT_READ | PROT_WRITE), 0);
    memcpy(at, jobs->head, jobs->bytes);
    runt_move(jobs, at);
    runt_move(spawner, at);
    runt_move(runner[0], at);
    runt_move(runner[1], at);
}

/* Views of a table whose lives are whole: those are glibc's. */
static void open_fenced(void)
{
    open_table(QUEUE, true);
    fence();
    jobs->submitter = 0;
    spawner->spawner = true;
    for (unsigned i = 0; i < RUNNERS; i++) {
        runner[i]->runner = i;
        runner[i]->request = malloc(EPHPM_REQUEST_BYTES + 1);
        atomic_store(&jobs->bells[i], BELL_AWAKE);
    }
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    seed();
}

static size_t swallow(void *to, ephpm_frame_type_t type, const void *data,
                      size_t bytes)
{
    size_t *sum = to;
    for (size_t i = 0; i < bytes; i++) {
        *sum += ((const unsigned char *)data)[i];
    }
    kvt_assert(bytes <= EPHPM_HEAD_BYTES_MAX);
    kvt_assert(type >= EPHPM_FRAME_HEAD && type <= EPHPM_FRAME_END);
    /* Sometimes not all. */
    return *sum % 5 == 0 ? bytes / 2 : bytes;
}

/* ------------------------------------------------------------------ */
/* A ring that is no runner's                                          */

static void garble_ring(ring_t *ring)
{
    uint32_t at = runt_below(&random_, EPHPM_RING_BYTES - 8);
    uint32_t number = (uint32_t)runt_next(&random_);

    switch (runt_below(&random_, 6)) {
    case 0:
        atomic_store(&ring->head, number);
        break;
    case 1:
        atomic_store(&ring->head, ring->head + runt_below(&random_, 70000));
        break;
    case 2:
        memcpy(ring->data + at / 4 * 4, &number, 4);
        break;
    case 3: {
        /* A frame's head that might be one. */
        uint32_t head = frame_head(number % 10, number % 3 == 0,
                                   runt_below(&random_, 20000));
        memcpy(ring->data + at / 4 * 4, &head, 4);
        break;
    }
    case 4:
        ring->data[at] ^= (unsigned char)(1 << number % 8);
        break;
    default:
        atomic_store(&ring->tail, number);
    }
}

START_TEST(a_reader_of_a_garbled_ring_stays_in_it_and_comes_back)
{
    size_t sum = 0;
    unsigned broken = 0;
    for (int round = 0; round < ROUNDS; round++) {
        submit(&job);
        kvt_assert(ephpm_task_take(runner[0], &task, 0));
        runt_order_t order = runt_order(&random_, 1);
        order.how |= RUNT_INTERIM;
        char *body = malloc(30000);
        runt_fill(body, 30000, 1, 0);
        /* Not what would have to wait for room. */
        ephpm_task_write(&task, EPHPM_FRAME_HEAD, body,
                         runt_below(&random_, 30000));
        ephpm_task_write(&task, EPHPM_FRAME_BODY, body,
                         runt_below(&random_, 10000));
        ephpm_task_write(&task, EPHPM_FRAME_LOG, body, 100);
        ephpm_task_finish(&task, NULL);
        free(body);
        ring_t *ring = &jobs->ring[task.ring];
        bool ended = false;
        for (int i = 0; i < 20 && !ended; i++) {
            garble_ring(ring);
            ephpm_read_t read = ephpm_job_read(&job, swallow, &sum);
            broken += read == EPHPM_READ_BROKEN;
            ended = read == EPHPM_READ_BROKEN || read == EPHPM_READ_END;
        }
        ephpm_job_release(&job);
    }
    ck_assert_uint_gt(broken, ROUNDS / 4);
}
END_TEST

/* Every value of what stands at the tail: a frame's first four bytes. */
START_TEST(any_first_frame_is_a_frame_or_broken)
{
    for (unsigned type = 0; type < 256; type++) {
        static const uint32_t sizes[] = {
            0, 1, 2, 3, 4, 100, PIECE_BYTES - 1, PIECE_BYTES,
            PIECE_BYTES + 1, 40000, 0xffffff,
        };
        for (size_t i = 0; i < 11; i++) {
            for (uint32_t there = 0; there < 3; there++) {
                size_t sum = 1;
                submit(&job);
                kvt_assert(ephpm_task_take(runner[0], &task, 0));
                ring_t *ring = &jobs->ring[task.ring];
                uint32_t head = sizes[i] << 8 | type;
                uint32_t fits = FRAME_HEAD_BYTES + frame_padded(sizes[i]);
                memcpy(ring->data, &head, 4);
                atomic_store(&ring->head, there == 0   ? fits
                                          : there == 1 ? fits - 1
                                                       : EPHPM_RING_BYTES + 1);
                ephpm_read_t read = ephpm_job_read(&job, swallow, &sum);
                bool good = there == 0 && sizes[i] <= PIECE_BYTES;
                kvt_assert(good || read == EPHPM_READ_BROKEN ||
                           read == EPHPM_READ_STOPPED);
                kvt_assert(good || sum == 1 || there == 1);
                ephpm_task_finish(&task, NULL);
                ephpm_job_release(&job);
            }
        }
    }
}
END_TEST

START_TEST(a_head_that_never_ends_is_broken)
{
    size_t sum = 1;
    uint32_t head = frame_head(EPHPM_FRAME_HEAD, true, PIECE_BYTES);
    begin();
    ring_t *ring = &jobs->ring[task.ring];
    ephpm_read_t read = EPHPM_READ_MORE;
    uint32_t at = 0;
    for (int i = 0; i < 100 && read == EPHPM_READ_MORE; i++) {
        memcpy(ring->data + (at & RING_MASK), &head, 4);
        at += FRAME_HEAD_BYTES + PIECE_BYTES;
        atomic_store(&ring->head, at);
        read = ephpm_job_read(&job, swallow, &sum);
    }
    ck_assert_int_eq(read, EPHPM_READ_BROKEN);
    ck_assert_uint_le(job.gathered_bytes, EPHPM_HEAD_BYTES_MAX);
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
}
END_TEST

/* ... of frames with nothing in them: one reading is at most a ring's. */
START_TEST(frames_of_nothing_come_to_an_end)
{
    size_t sum = 1;
    begin();
    ring_t *ring = &jobs->ring[task.ring];
    uint32_t head = frame_head(EPHPM_FRAME_BODY, false, 0);
    for (uint32_t at = 0; at < EPHPM_RING_BYTES; at += 4) {
        memcpy(ring->data + at, &head, 4);
    }
    for (uint32_t i = 1; i < 50; i++) {
        atomic_store(&ring->head, i * EPHPM_RING_BYTES);
        ck_assert_int_eq(ephpm_job_read(&job, swallow, &sum),
                         EPHPM_READ_MORE);
    }
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(a_ring_that_is_not_the_jobs_is_broken)
{
    static const uint32_t numbers[] = { 3, 4, 5, 1000, UINT32_MAX };
    size_t sum = 1;
    for (size_t i = 0; i < 7; i++) {
        begin();
        if (i < 5) {
            jobs->slot[job.slot].ring = numbers[i];
        } else if (i == 5) {
            jobs->ring[task.ring].bearer++;
        } else {
            jobs->ring[task.ring].bearer = 0;
        }
        kvt_assert(ephpm_job_read(&job, swallow, &sum) ==
                   EPHPM_READ_BROKEN);
        ephpm_task_finish(&task, NULL);
        ephpm_job_release(&job);
    }
}
END_TEST

/* A job that has ended, it says, and whose END is nowhere. */
START_TEST(a_job_without_an_end_is_broken)
{
    size_t sum = 1;
    static const unsigned states[] = { EPHPM_JOB_DONE, EPHPM_JOB_ANSWERED };
    for (size_t i = 0; i < 2; i++) {
        begin();
        jobs->words[job.slot] = word_to(jobs->words[job.slot], states[i]);
        kvt_assert(ephpm_job_read(&job, swallow, &sum) ==
                   EPHPM_READ_BROKEN);
        ephpm_job_release(&job);
        jobs->words[task.slot] = 0;
    }
}
END_TEST

START_TEST(a_runner_whose_tail_is_nonsense_writes_no_more)
{
    char *body = malloc(100000);
    runt_fill(body, 100000, 1, 0);
    for (uint32_t i = 0; i < 200; i++) {
        begin();
        ring_t *ring = &jobs->ring[task.ring];
        ephpm_task_write(&task, EPHPM_FRAME_BODY, body, 30000);
        atomic_store(&ring->tail,
                     i == 0 ? 60000 : (uint32_t)runt_next(&random_));
        ephpm_task_write(&task, EPHPM_FRAME_BODY, body, 20000);
        /* It may be a tail that leaves room, by chance; most do not. */
        bool good = ephpm_task_write(&task, EPHPM_FRAME_HEAD, body, 100000);
        kvt_assert(i != 0 || !good);
        ephpm_task_finish(&task, NULL);
        ephpm_job_release(&job);
    }
    free(body);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Any word of the table                                               */

/* All of what is not glibc's or plain bytes. */
static void scribble(void)
{
    uint64_t number = runt_next(&random_);
    uint32_t slot = runt_below(&random_, jobs->slots);
    uint32_t ring = runt_below(&random_, jobs->rings);

    switch (runt_below(&random_, 14)) {
    case 0:
        jobs->words[slot] = number;
        break;
    case 1:
        jobs->words[slot] ^= UINT64_C(1) << number % 64;
        break;
    case 2:
        jobs->words[slot] = word_to(jobs->words[slot], number % 16);
        break;
    case 3:
        jobs->bells[number % RUNNERS] = (uint32_t)(number >> 8) % 5;
        break;
    case 4:
        jobs->slot[slot].ring = (uint32_t)number;
        break;
    case 5:
        jobs->slot[slot].request_bytes = (uint32_t)number;
        break;
    case 6:
        memset(jobs->slot[slot].script, 'x', SCRIPT_BYTES);
        break;
    case 7:
        jobs->ring[ring].bearer = number;
        break;
    case 8:
        jobs->ring[ring].bearer ^= UINT64_C(1) << number % 64;
        break;
    case 9:
        jobs->head->ticket = (uint32_t)number;
        break;
    case 10:
        jobs->head->pulse = (uint32_t)number % 8;
        break;
    case 11:
        jobs->calls[number % SUBMITTERS].pending = (uint32_t)(number >> 8);
        break;
    case 12:
        jobs->slot[slot].submitted_us = number;
        jobs->slot[slot].taken_us = number;
        jobs->slot[slot].signal = (uint32_t)number;
        break;
    default:
        garble_ring(&jobs->ring[ring]);
    }
}

static void use_table(size_t *sum)
{
    ephpm_running_t running;
    ephpm_job_times_t times;
    ephpm_jobs_stats_t stats;

    memset(&job, 0, sizeof(job));
    scribble();
    ephpm_claim_t claim = ephpm_job_claim(jobs, &job);
    if (claim == EPHPM_CLAIMED) {
        kvt_assert(job.slot < jobs->slots);
        runt_order_t order = small_order(1);
        scribble();
        runt_submit(&job, &order);
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        scribble();
        if (ephpm_task_take(runner[i], &task, 0)) {
            kvt_assert(task.slot < jobs->slots);
            kvt_assert(task.ring < jobs->rings);
            kvt_assert(task.request_bytes <= EPHPM_REQUEST_BYTES);
            runt_order_t order;
            runt_ordered(&task, &order);
            scribble();
            ephpm_task_write(&task, EPHPM_FRAME_BODY, "some", 4);
            ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0);
            scribble();
            if (runt_below(&random_, 4) == 0) {
                ephpm_task_answer(&task, NULL);
            }
            scribble();
            /* Not a KILLED one: that ends the process, and rightly. */
            if (word_state(jobs->words[task.slot]) != EPHPM_JOB_KILLED) {
                ephpm_task_finish(&task, NULL);
            }
        }
    }
    scribble();
    if (claim == EPHPM_CLAIMED) {
        ephpm_job_read(&job, swallow, sum);
        ephpm_job_times(&job, &times);
        *sum += ephpm_job_state(&job) + ephpm_job_news(&job);
        ephpm_job_withdraw(&job);
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        scribble();
        if (ephpm_runner_task(spawner, i, &running)) {
            kvt_assert(running.slot < jobs->slots);
            kvt_assert(strnlen(running.script, 1024) < 1024);
            ephpm_running_kill(spawner, &running);
            ephpm_runner_bury(spawner, i, SIGKILL, &running);
        }
    }
    scribble();
    ephpm_jobs_abandon(spawner, runt_below(&random_, SUBMITTERS));
    ephpm_submitter_awake(jobs);
    ephpm_jobs_stats(jobs, &stats);
    kvt_assert(stats.busy <= stats.alive && stats.alive <= RUNNERS);
    *sum += ephpm_jobs_check(jobs) != NULL;
    if (claim == EPHPM_CLAIMED) {
        ephpm_job_release(&job);
    }
}

START_TEST(no_word_of_the_table_leads_out_of_it)
{
    size_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        use_table(&sum);
        if (round % 50 == 49) {
            /* From a sound table again, or all slots are lost for ever. */
            for (uint32_t i = 0; i < jobs->slots; i++) {
                jobs->words[i] = 0;
            }
            for (unsigned i = 0; i < RUNNERS; i++) {
                jobs->bells[i] = BELL_AWAKE;
            }
        }
    }
    ck_assert_uint_gt(sum, 0);
}
END_TEST

/* What is sound after all heals, and serves. */
START_TEST(after_the_dead_are_buried_the_table_serves_again)
{
    for (int round = 0; round < ROUNDS / 20; round++) {
        submit(&job);
        kvt_assert(ephpm_task_take(runner[0], &task, 0));
        /* Bells, news and hints may have any value. */
        for (unsigned i = 0; i < RUNNERS; i++) {
            jobs->bells[i] = runt_below(&random_, 5);
        }
        jobs->slot[job.slot].news += (uint32_t)runt_next(&random_);
        jobs->slot[job.slot].waiting = 1;
        jobs->calls[0].pending = 1;
        jobs->hint = (uint32_t)runt_next(&random_);
        kvt_assert(runt_serve(&task));
        kvt_assert(read_job() == EPHPM_READ_END);
        kvt_assert(runt_judge(&heard) == NULL);
        ephpm_job_release(&job);
        for (unsigned i = 0; i < RUNNERS; i++) {
            jobs->bells[i] = BELL_AWAKE;
        }
        assert_sound();
        kvt_assert(in_use() == 0);
    }
}
END_TEST

/* The audit sees each kind of thing that is wrong. */
START_TEST(the_audit_sees_what_is_wrong)
{
    static const struct {
        const char *says;
        uint64_t and, or ;
    } words[] = {
        { "J1", ~WORD_S, 0 },
        { "J1", ~WORD_R, 0 },
        { "J1", ~WORD_STATE, 0 },
        { "J1", ~WORD_STATE, EPHPM_JOB_READY },
        { "J1", ~WORD_STATE, EPHPM_JOB_DONE },
        { "J1", ~WORD_STATE, EPHPM_JOB_CRASHED },
        { "J1", ~(WORD_STATE | WORD_R | WORD_S), EPHPM_JOB_KILLED },
        { "J1", ~WORD_STATE, 15 },
        { "J4", ~UINT64_C(0), WORD_RUNNER_MASK << WORD_RUNNER_SHIFT },
        { "J4", ~UINT64_C(0), UINT64_C(0xffff) << WORD_SUBMITTER_SHIFT },
    };
    begin();
    uint64_t good = jobs->words[job.slot];
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        jobs->words[job.slot] = (good & words[i].and) | words[i].or;
        const char *broken = ephpm_jobs_check(jobs);
        if (i == 0) {
            ck_assert_ptr_eq(broken, NULL); /* an abandoned one is sound */
        } else {
            kvt_assert_msg(broken != NULL &&
                               strncmp(broken, words[i].says, 2) == 0,
                           "%zu: %s", i, broken);
        }
    }
    jobs->words[job.slot] = good;
    assert_sound();

#define SEES(what, field, value)                                             \
    do {                                                                     \
        uint64_t was_ = (field);                                             \
        (field) = (value);                                                   \
        const char *broken_ = ephpm_jobs_check(jobs);                        \
        kvt_assert_msg(broken_ != NULL && strncmp(broken_, what, 2) == 0,    \
                       #field ": %s", broken_ == NULL ? "?" : broken_);      \
        (field) = was_;                                                      \
    } while (0)
    SEES("J3", jobs->slot[job.slot].ring, 4);
    SEES("J3", jobs->ring[task.ring].bearer, 0);
    SEES("J3", jobs->ring[1 - task.ring].bearer,
         jobs->ring[task.ring].bearer);
    SEES("J4", jobs->ring[3].bearer, UINT64_MAX);
    SEES("J4", jobs->ring[task.ring].tail, 1);
    SEES("J4", jobs->slot[job.slot].request_bytes, EPHPM_REQUEST_BYTES + 1);
    SEES("J5", jobs->head->ticket, word_ticket(good));
    uint32_t other = job.slot == 0 ? 1 : 0;
    SEES("J5", jobs->words[other],
         word_to(good, EPHPM_JOB_READY) & ~(WORD_R));
    SEES("J1", jobs->words[other], good + (UINT64_C(1) << 32));
    assert_sound();
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
}
END_TEST

/* ------------------------------------------------------------------ */

static void close_fenced(void)
{
    /* The places are those of the table that was copied. */
    for (unsigned i = 0; i < RUNNERS; i++) {
        ephpm_jobs_view_free(runner[i]);
    }
    ephpm_jobs_view_free(spawner);
}

int main(void)
{
    Suite *suite = suite_create("scribble");
    TCase *tcase = kvt_case(suite, "a ring");
    tcase_add_checked_fixture(tcase, open_fenced, close_fenced);
    tcase_add_test(tcase,
                   a_reader_of_a_garbled_ring_stays_in_it_and_comes_back);
    tcase_add_test(tcase, any_first_frame_is_a_frame_or_broken);
    tcase_add_test(tcase, a_head_that_never_ends_is_broken);
    tcase_add_test(tcase, frames_of_nothing_come_to_an_end);
    tcase_add_test(tcase, a_ring_that_is_not_the_jobs_is_broken);
    tcase_add_test(tcase, a_job_without_an_end_is_broken);
    tcase_add_test(tcase, a_runner_whose_tail_is_nonsense_writes_no_more);
    tcase = kvt_case(suite, "the table");
    tcase_add_checked_fixture(tcase, open_fenced, close_fenced);
    tcase_add_test(tcase, no_word_of_the_table_leads_out_of_it);
    tcase_add_test(tcase, after_the_dead_are_buried_the_table_serves_again);
    tcase_add_test(tcase, the_audit_sees_what_is_wrong);
    return kvt_run(suite);
}
