/* ring_test.c - frames of every kind and size, through the ring and around
 * its end.
 */

#include "table.h"

#include <pthread.h>
#include <signal.h>

static char *bytes_of(size_t bytes, uint64_t seed)
{
    char *made = malloc(bytes + 1);
    ck_assert_ptr_ne(made, NULL);
    runt_fill(made, bytes, seed, 0);
    return made;
}

/* What was read: every frame as it came, the pieces of a body as one. */
typedef struct tape {
    char *bytes;
    size_t count;
    size_t room;
    size_t body;                /* bytes of it that are body, of one seed */
    uint64_t seed;
    unsigned frames[EPHPM_FRAME_END + 1];
    size_t longest;
    const char *wrong;
    size_t takes;               /* at most so much of a body; 0: all */
    bool refuses;               /* all but a body, once */
    bool head_good;             /* it is of the same seed */
} tape_t;

static size_t play(void *to, ephpm_frame_type_t type, const void *data,
                   size_t bytes)
{
    tape_t *tape = to;

    if (type == EPHPM_FRAME_BODY) {
        if (tape->takes != 0 && bytes > tape->takes) {
            bytes = tape->takes;
        }
        if (!runt_filled(data, bytes, tape->seed, tape->body)) {
            tape->wrong = "another body";
        }
        tape->body += bytes;
    } else if (tape->refuses) {
        tape->refuses = false;
        return 0;
    } else {
        free(tape->bytes);
        tape->bytes = malloc(bytes + 1);
        memcpy(tape->bytes, data, bytes);
        tape->count = bytes;
        if (type == EPHPM_FRAME_HEAD) {
            tape->head_good = runt_filled(data, bytes, tape->seed, 0);
            tape->body = bytes;
        }
    }
    tape->frames[type]++;
    if (bytes > tape->longest) {
        tape->longest = bytes;
    }
    return bytes;
}

static bool tape_holds(const tape_t *tape, size_t bytes, uint64_t seed)
{
    return tape->count == bytes && runt_filled(tape->bytes, bytes, seed, 0);
}

/* Offsets go round many times in a job: begin just before they do. */
static void offsets_from(uint32_t at)
{
    writing_t *w = &runner[0]->writing;
    w->head = w->tail = at;
    w->ring->head = w->ring->tail = at;
    job.ring = task.ring + 1;
    job.tail = at;
}

static void end_job(void)
{
    ephpm_task_finish(&task, NULL);
    ephpm_job_release(&job);
}

/* ------------------------------------------------------------------ */

static const ephpm_frame_type_t whole_types[] = {
    EPHPM_FRAME_HEAD, EPHPM_FRAME_INTERIM, EPHPM_FRAME_LOG,
    EPHPM_FRAME_NOTE, EPHPM_FRAME_ENV,
};

START_TEST(frames_of_every_type_come_whole_and_in_order)
{
    for (uint32_t at = 0; at < 5; at++) {
        begin();
        offsets_from(UINT32_MAX - 7 - 4 * at);
        for (size_t i = 0; i < 5; i++) {
            tape_t tape = { 0 };
            char *data = bytes_of(100 + i, i);
            ck_assert(
                ephpm_task_write(&task, whole_types[i], data, 100 + i));
            ck_assert_int_eq(ephpm_job_read(&job, play, &tape),
                             EPHPM_READ_MORE);
            ck_assert_uint_eq(tape.frames[whole_types[i]], 1);
            ck_assert(tape_holds(&tape, 100 + i, i));
            free(data);
            free(tape.bytes);
        }
        tape_t tape = { 0 };
        ck_assert(ephpm_task_write(&task, EPHPM_FRAME_FLUSH, NULL, 0));
        ck_assert(ephpm_task_write(&task, EPHPM_FRAME_HEAD, "", 0));
        ck_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, "", 0));
        ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_MORE);
        ck_assert_uint_eq(tape.frames[EPHPM_FRAME_FLUSH], 1);
        ck_assert_uint_eq(tape.frames[EPHPM_FRAME_HEAD], 1);
        ck_assert_uint_eq(tape.frames[EPHPM_FRAME_BODY], 0);
        free(tape.bytes);
        end_job();
    }
}
END_TEST

START_TEST(frames_of_every_size_fit_around_the_rings_end)
{
    enum { STEP = RUNT_SLOWER > 1 ? 61 : 7 };
    begin();
    for (uint32_t size = 0; size <= PIECE_BYTES; size += STEP) {
        tape_t tape = { .seed = size };
        /* The frame's head, or any byte of its data, may be at the end. */
        uint32_t before = size % 40 * 4;
        offsets_from(UINT32_MAX - 3 - before);
        char *data = bytes_of(size, size);
        kvt_assert(ephpm_task_write(&task, EPHPM_FRAME_NOTE, data, size));
        kvt_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, data, size));
        ephpm_task_wake(&task);
        kvt_assert(ephpm_job_read(&job, play, &tape) == EPHPM_READ_MORE);
        kvt_assert(tape.frames[EPHPM_FRAME_NOTE] == 1);
        kvt_assert(tape_holds(&tape, size, size));
        kvt_assert_msg(tape.body == size && tape.wrong == NULL,
                       "size %u: %zu of the body", size, tape.body);
        free(data);
        free(tape.bytes);
        assert_sound();
    }
    end_job();
}
END_TEST

START_TEST(other_frames_have_a_limit)
{
    char *data = bytes_of(EPHPM_HEAD_BYTES_MAX + 1, 1);
    begin();
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_LOG, data,
                                PIECE_BYTES + 1));
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_HEAD, data,
                                EPHPM_HEAD_BYTES_MAX + 1));
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_LOG, data, PIECE_BYTES));
    ck_assert(!ephpm_task_abandoned(&task));
    end_job();
    free(data);
}
END_TEST

START_TEST(a_runners_short_writes_become_one_frame)
{
    tape_t tape = { .seed = 9 };
    char *data = bytes_of(4000, 9);
    begin();
    for (size_t at = 0; at < 4000; at += 10) {
        ck_assert(
            ephpm_task_write(&task, EPHPM_FRAME_BODY, data + at, 10));
    }
    ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_MORE);
    ck_assert_uint_eq(tape.body, 0); /* it still grows */
    ephpm_task_wake(&task);
    ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_MORE);
    ck_assert_uint_eq(tape.body, 4000);
    ck_assert_uint_eq(tape.frames[EPHPM_FRAME_BODY], 1);
    ck_assert_ptr_eq(tape.wrong, NULL);
    end_job();
    free(data);
}
END_TEST

START_TEST(what_a_script_wrote_before_a_log_line_is_seen_before_it)
{
    tape_t tape = { .seed = 9 };
    char *data = bytes_of(10, 9);
    begin();
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, data, 10));
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_LOG, data, 10));
    ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_MORE);
    ck_assert_uint_eq(tape.body, 10);
    ck_assert(tape_holds(&tape, 10, 9));
    end_job();
    free(data);
    free(tape.bytes);
}
END_TEST

START_TEST(the_reader_may_take_a_body_byte_by_byte)
{
    enum { BYTES = 3000 };
    tape_t tape = { .seed = 4, .takes = 1 };
    char *data = bytes_of(BYTES, 4);
    begin();
    offsets_from(UINT32_MAX - 2003);
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, data, BYTES));
    ephpm_task_wake(&task);
    while (tape.body < BYTES) {
        size_t before = tape.body;
        ephpm_read_t read = ephpm_job_read(&job, play, &tape);
        /* The ring's end is a piece's end: that byte is all of it. */
        kvt_assert(tape.body == before + 1 || tape.body == before + 2);
        kvt_assert(read == EPHPM_READ_STOPPED || tape.body == BYTES);
        assert_sound();
    }
    ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_MORE);
    ck_assert_ptr_eq(tape.wrong, NULL);
    end_job();
    free(data);
}
END_TEST

START_TEST(a_frame_that_is_refused_comes_again_whole)
{
    static const size_t sizes[] = { 10, PIECE_BYTES, PIECE_BYTES + 1,
                                    2 * PIECE_BYTES + 77 };
    for (size_t i = 0; i < 4; i++) {
        tape_t tape = { .refuses = true };
        char *data = bytes_of(sizes[i], i);
        begin();
        ck_assert(
            ephpm_task_write(&task, EPHPM_FRAME_HEAD, data, sizes[i]));
        ck_assert_int_eq(ephpm_job_read(&job, play, &tape),
                         EPHPM_READ_STOPPED);
        ck_assert_uint_eq(tape.frames[EPHPM_FRAME_HEAD], 0);
        ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_MORE);
        ck_assert_uint_eq(tape.frames[EPHPM_FRAME_HEAD], 1);
        ck_assert(tape_holds(&tape, sizes[i], i));
        ephpm_job_end_t end = { .cpu_us = 8 };
        ephpm_task_finish(&task, &end);
        tape.refuses = true;
        ck_assert_int_eq(ephpm_job_read(&job, play, &tape),
                         EPHPM_READ_STOPPED);
        ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_END);
        ck_assert_uint_eq(tape.count, sizeof(end));
        ck_assert_mem_eq(tape.bytes, &end, sizeof(end));
        ephpm_job_release(&job);
        free(data);
        free(tape.bytes);
    }
}
END_TEST

START_TEST(the_end_carries_a_name_of_any_length)
{
    for (size_t length = 0; length <= 256; length += 51) {
        tape_t tape = { 0 };
        ephpm_job_end_t end = { .memory_bytes = length, .exit_status = -1 };
        ephpm_job_end_t got;
        memset(end.user, 'u', length);
        begin();
        ephpm_task_finish(&task, &end);
        ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_END);
        ck_assert_uint_eq(tape.count, sizeof(got));
        memcpy(&got, tape.bytes, sizeof(got));
        ck_assert_uint_eq(got.memory_bytes, length);
        ck_assert_int_eq(got.exit_status, -1);
        ck_assert_uint_eq(strnlen(got.user, sizeof(got.user)),
                          length < 256 ? length : 255);
        ephpm_job_release(&job);
        free(tape.bytes);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* A runner that waits for room, in a thread                           */

typedef struct writer {
    ephpm_frame_type_t type;
    size_t bytes;
    _Atomic int begun;
    _Atomic int done;           /* 1: written, 2: refused */
} writer_t;

static void *write_it(void *argument)
{
    writer_t *writer = argument;
    ephpm_jobs_t *view = runner[0];
    ephpm_task_t mine;
    char *data = bytes_of(writer->bytes, 7);
    kvt_assert(ephpm_runner_attach(view, 0));
    while (!ephpm_task_take(view, &mine, 100)) {
    }
    atomic_store(&writer->begun, 1);
    bool good = ephpm_task_write(&mine, writer->type, data, writer->bytes);
    atomic_store(&writer->done, good ? 1 : 2);
    ephpm_task_finish(&mine, NULL);
    ephpm_runner_detach(view);
    free(data);
    return NULL;
}

static pthread_t start_writer(writer_t *writer)
{
    pthread_t thread;
    ephpm_runner_detach(runner[0]);
    submit(&job);
    ck_assert_int_eq(pthread_create(&thread, NULL, write_it, writer), 0);
    return thread;
}

static ring_t *its_ring(void)
{
    for (int i = 0; jobs->slot[job.slot].ring == 0; i++) {
        kvt_assert(i < 60000);
        kvt_sleep_ms(1);
    }
    return &jobs->ring[jobs->slot[job.slot].ring - 1];
}

static void wait_until_wanted(void)
{
    ring_t *ring = its_ring();
    for (int i = 0; atomic_load(&ring->wanted) == 0; i++) {
        kvt_assert(i < 60000);
        kvt_sleep_ms(1);
    }
}

START_TEST(a_body_larger_than_the_ring_streams_through)
{
    writer_t writer = { .type = EPHPM_FRAME_BODY, .bytes = 1000001 };
    tape_t tape = { .seed = 7 };
    pthread_t thread = start_writer(&writer);
    for (;;) {
        ephpm_read_t read = ephpm_job_read(&job, play, &tape);
        if (read != EPHPM_READ_MORE) {
            ck_assert_int_eq(read, EPHPM_READ_END);
            break;
        }
        ephpm_job_wait(&job, 100);
    }
    pthread_join(thread, NULL);
    ck_assert_uint_eq(tape.body, writer.bytes);
    ck_assert_ptr_eq(tape.wrong, NULL);
    ck_assert_int_eq(writer.done, 1);
    ck_assert_uint_le(tape.longest, EPHPM_RING_BYTES);
    free(tape.bytes);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(the_largest_head_comes_whole)
{
    writer_t writer = { .type = EPHPM_FRAME_HEAD,
                        .bytes = EPHPM_HEAD_BYTES_MAX };
    tape_t tape = { .seed = 7 };
    pthread_t thread = start_writer(&writer);
    ephpm_read_t read;
    while ((read = ephpm_job_read(&job, play, &tape)) == EPHPM_READ_MORE) {
        ephpm_job_wait(&job, 100);
    }
    pthread_join(thread, NULL);
    ck_assert_int_eq(read, EPHPM_READ_END);
    ck_assert_uint_eq(tape.frames[EPHPM_FRAME_HEAD], 1);
    ck_assert_uint_eq(tape.body, EPHPM_HEAD_BYTES_MAX);
    ck_assert(tape.head_good);
    free(tape.bytes);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(the_runner_is_woken_when_half_of_the_ring_is_free)
{
    writer_t writer = { .type = EPHPM_FRAME_BODY,
                        .bytes = 3 * EPHPM_RING_BYTES };
    tape_t tape = { .seed = 7, .takes = 1000 };
    pthread_t thread = start_writer(&writer);
    wait_until_wanted();
    ring_t *ring = its_ring();
    /* It may look by itself at any time, and then waits again. */
    uint32_t head = ring->head;
    ck_assert_int_eq(ephpm_job_read(&job, play, &tape), EPHPM_READ_STOPPED);
    ck_assert_uint_ge(head - job.tail, EPHPM_RING_BYTES - 20000);
    ck_assert_int_eq(writer.done, 0);
    tape.takes = 0;
    while (tape.body < writer.bytes) {
        ephpm_read_t read = ephpm_job_read(&job, play, &tape);
        ck_assert(read == EPHPM_READ_MORE || read == EPHPM_READ_END);
        if (read == EPHPM_READ_MORE) {
            ephpm_job_wait(&job, 100);
        }
    }
    pthread_join(thread, NULL);
    ck_assert_ptr_eq(tape.wrong, NULL);
    ck_assert_int_eq(writer.done, 1);
    free(tape.bytes);
    ephpm_job_release(&job);
}
END_TEST

START_TEST(who_lets_go_wakes_a_runner_that_waits_for_room)
{
    writer_t writer = { .type = EPHPM_FRAME_BODY,
                        .bytes = 3 * EPHPM_RING_BYTES };
    pthread_t thread = start_writer(&writer);
    wait_until_wanted();
    ephpm_job_release(&job);
    pthread_join(thread, NULL);
    ck_assert_int_eq(writer.done, 2);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

typedef struct short_life {
    ephpm_jobs_t *view;
    pthread_barrier_t submitted;
    pthread_barrier_t may_die;
} short_life_t;

static void *submit_and_die(void *argument)
{
    short_life_t *life = argument;
    runt_order_t order = small_order(1);
    ephpm_job_t mine = { 0 };
    kvt_assert(ephpm_submitter_attach(life->view, 1) == 1);
    kvt_assert(ephpm_job_claim(life->view, &mine) == EPHPM_CLAIMED);
    runt_submit(&mine, &order);
    pthread_barrier_wait(&life->submitted);
    pthread_barrier_wait(&life->may_die);
    return NULL;
}

/* J6: there may be no spawner who would do it for the runner. */
START_TEST(a_runner_that_waits_for_room_looks_at_its_submitters_life)
{
    short_life_t life = { .view = ephpm_jobs_view(jobs) };
    pthread_t thread;
    char *data = bytes_of(3 * EPHPM_RING_BYTES, 1);
    pthread_barrier_init(&life.submitted, NULL, 2);
    pthread_barrier_init(&life.may_die, NULL, 2);
    pthread_create(&thread, NULL, submit_and_die, &life);
    pthread_barrier_wait(&life.submitted);
    ck_assert(ephpm_task_take(runner[0], &task, 0));
    ck_assert(ephpm_task_write(&task, EPHPM_FRAME_BODY, data, 10));
    pthread_barrier_wait(&life.may_die);
    pthread_join(thread, NULL);
    ck_assert(!ephpm_task_abandoned(&task));
    ck_assert(!ephpm_task_write(&task, EPHPM_FRAME_BODY, data,
                                3 * EPHPM_RING_BYTES));
    ck_assert(ephpm_task_abandoned(&task));
    ephpm_task_finish(&task, NULL);
    ck_assert_uint_eq(in_use(), 0);
    ephpm_jobs_view_free(life.view);
    free(data);
}
END_TEST

/* The same where it waits for a ring. */
START_TEST(a_runner_that_waits_for_a_ring_looks_at_the_readers_lives)
{
    ephpm_runner_detach(runner[1]);
    for (int i = 0; i < 2; i++) {
        short_life_t life = { .view = ephpm_jobs_view(jobs) };
        pthread_t thread;
        pthread_barrier_init(&life.submitted, NULL, 2);
        pthread_barrier_init(&life.may_die, NULL, 2);
        if (i == 0) {
            submit(&job);
            ck_assert(ephpm_task_take(runner[0], &task, 0));
            ck_assert(runt_serve(&task));
        }
        pthread_create(&thread, NULL, submit_and_die, &life);
        pthread_barrier_wait(&life.submitted);
        ck_assert(ephpm_task_take(runner[0], &task, 0));
        ck_assert(runt_serve(&task));
        pthread_barrier_wait(&life.may_die);
        pthread_join(thread, NULL);
        ephpm_jobs_view_free(life.view);
        /* One ring is the living's, the other the dead one's. */
        ephpm_job_t next;
        submit(&next);
        bool took = ephpm_task_take(runner[0], &task, 20);
        for (int tries = 0; !took && tries < 100; tries++) {
            took = ephpm_task_take(runner[0], &task, 20);
        }
        ck_assert(took);
        ck_assert(runt_serve(&task));
        ephpm_job_release(&next);
    }
    ephpm_job_release(&job);
    ck_assert_uint_eq(in_use(), 0);
}
END_TEST

/* ------------------------------------------------------------------ */
/* Orders by chance                                                    */

typedef struct served {
    _Atomic int stop;
    _Atomic int good;
    unsigned index;
} served_t;

static void *serve_in_thread(void *argument)
{
    served_t *served = argument;
    if (!runt_run(runner[served->index], served->index, &served->stop)) {
        atomic_store(&served->good, 0);
    }
    return NULL;
}

START_TEST(answers_of_every_kind_come_as_they_were_written)
{
    enum { ORDERS = 600 / RUNT_SLOWER + 30 };
    runt_random_t random = { 20260101 };
    pthread_t thread[RUNNERS];
    served_t served[RUNNERS];
    ephpm_pulse_set(spawner, EPHPM_PULSE_READY);
    for (unsigned i = 0; i < RUNNERS; i++) {
        served[i] = (served_t){ .index = i, .good = 1 };
        pthread_create(&thread[i], NULL, serve_in_thread, &served[i]);
    }
    for (uint64_t i = 0; i < ORDERS; i++) {
        runt_order_t order = runt_order(&random, i);
        const char *wrong = runt_round(jobs, &order);
        kvt_assert_msg(wrong == NULL, "order %u: %s", (unsigned)i, wrong);
    }
    for (unsigned i = 0; i < RUNNERS; i++) {
        atomic_store(&served[i].stop, 1);
        pthread_join(thread[i], NULL);
        ck_assert_int_eq(served[i].good, 1);
    }
}
END_TEST

/* ------------------------------------------------------------------ */
/* The head of a response                                              */

typedef struct seen_head {
    int count;
    char text[200];
} seen_head_t;

static void see_header(void *to, int op, const char *name, const char *value)
{
    seen_head_t *seen = to;
    size_t at = strlen(seen->text);
    seen->count++;
    snprintf(seen->text + at, sizeof(seen->text) - at, "%d<%s|%s>", op, name,
             value);
}

START_TEST(a_head_is_taken_apart)
{
    static const char head[] = "\310\0\0\0\0\1Server\0ephpm\0\2Date\0\0"
                               "\3\0\0\0X\0y";
    seen_head_t seen = { 0 };
    int status = 0;
    const char *reason = "";
    ck_assert(ephpm_head_each(head, sizeof(head), &status, &reason,
                              see_header, &seen));
    ck_assert_int_eq(status, 200);
    ck_assert_ptr_eq(reason, NULL);
    ck_assert_int_eq(seen.count, 4);
    ck_assert_str_eq(seen.text, "1<Server|ephpm>2<Date|>3<|>0<X|y>");
    seen = (seen_head_t){ 0 };
    ck_assert(ephpm_head_each("\224\1\0\0Gone fishing", 17, &status, &reason,
                              see_header, &seen));
    ck_assert_int_eq(status, 404);
    ck_assert_str_eq(reason, "Gone fishing");
    ck_assert_int_eq(seen.count, 0);
}
END_TEST

START_TEST(a_head_that_is_cut_short_anywhere_is_malformed)
{
    static const char head[] = "\310\0\0\0Fine\0\1Server\0ephpm\0\2Date\0";
    int status;
    const char *reason;
    for (size_t bytes = 0; bytes < sizeof(head); bytes++) {
        seen_head_t seen = { 0 };
        char *copy = malloc(bytes + 1); /* so that reading on is seen */
        memcpy(copy, head, bytes);
        char *exact = realloc(copy, bytes == 0 ? 1 : bytes);
        bool whole = bytes == 9 || bytes == 23;
        kvt_assert_msg(ephpm_head_each(exact, bytes, &status, &reason,
                                       see_header, &seen) == whole,
                       "%zu bytes", bytes);
        free(exact);
    }
}
END_TEST

/* ------------------------------------------------------------------ */

int main(void)
{
    Suite *suite = suite_create("ring");

    WITH(suite, "frames", set_up, frames_of_every_type_come_whole_and_in_order,
         frames_of_every_size_fit_around_the_rings_end,
         other_frames_have_a_limit, a_runners_short_writes_become_one_frame,
         what_a_script_wrote_before_a_log_line_is_seen_before_it,
         the_reader_may_take_a_body_byte_by_byte,
         a_frame_that_is_refused_comes_again_whole,
         the_end_carries_a_name_of_any_length);
    WITH(suite, "streams", set_up, a_body_larger_than_the_ring_streams_through,
         the_largest_head_comes_whole,
         the_runner_is_woken_when_half_of_the_ring_is_free,
         who_lets_go_wakes_a_runner_that_waits_for_room,
         a_runner_that_waits_for_room_looks_at_its_submitters_life,
         a_runner_that_waits_for_a_ring_looks_at_the_readers_lives);
    WITH(suite, "orders", set_up_empty,
         answers_of_every_kind_come_as_they_were_written);
    WITH(suite, "heads", NULL, a_head_is_taken_apart,
         a_head_that_is_cut_short_anywhere_is_malformed);
    return kvt_run(suite);
}
