/* ephpm_jobs_ring.c - frames in a ring: a runner's writing, a submitter's
 * reading.
 *
 * The runner publishes whole frames.  It wakes the submitter when half of
 * the ring is unseen, when it has to wait for room and when the script or
 * the job's end asks for it: a small response costs one wake-up.  Short
 * pieces of a body grow into one frame until it is published.
 *
 * The reader wakes the runner only where that waits, and only when half of
 * the ring is free: else the two would take turns for each piece.
 */

#include "ephpm_jobs_private.h"

#include "kv_futex.h"

#include <stdlib.h>
#include <string.h>

#define UNSEEN_BYTES (EPHPM_RING_BYTES / 2)
#define ENOUGH_ROOM (EPHPM_RING_BYTES / 2)

static inline uint32_t least(size_t a, uint32_t b)
{
    return a < b ? (uint32_t)a : b;
}

/* ------------------------------------------------------------------ */
/* Rings                                                               */

bool ephpm_ring_free(const ephpm_jobs_t *jobs, uint32_t number,
                     uint32_t *bearer)
{
    uint64_t bears = ld_acq(&jobs->ring[number].bearer);
    uint32_t slot = (uint32_t)(bears >> 32) - 1;

    *bearer = NOBODY;
    if (slot >= jobs->slots) {
        return true;
    }
    uint64_t word = atomic_load(&jobs->words[slot]);
    if (word_ticket(word) != (uint32_t)bears || (word & WORD_S) == 0) {
        return true;
    }
    *bearer = slot;
    return false;
}

void ephpm_ring_begin(ephpm_task_t *task, uint32_t number)
{
    ephpm_jobs_t *jobs = task->jobs;
    ring_t *ring = &jobs->ring[number];

    st_rlx(&ring->head, 0);
    st_rlx(&ring->tail, 0);
    st_rlx(&ring->wanted, 0);
    st_rel(&ring->bearer,
           (uint64_t)(task->slot + 1) << 32 | word_ticket(task->word));
    st_rel(&jobs->slot[task->slot].ring, number + 1);
    task->ring = number;
    jobs->writing = (writing_t){ .ring = ring };
}

/* ------------------------------------------------------------------ */
/* Writing                                                             */

static void put(writing_t *w, const void *data, uint32_t bytes)
{
    uint32_t at = w->head & RING_MASK;
    uint32_t first = least(EPHPM_RING_BYTES - at, bytes);

    memcpy(w->ring->data + at, data, first);
    memcpy(w->ring->data, (const char *)data + first, bytes - first);
    w->head += bytes;
}

static void put_head(writing_t *w, uint32_t at, uint32_t head)
{
    memcpy(w->ring->data + (at & RING_MASK), &head, sizeof(head));
}

static void close_frame(writing_t *w)
{
    if (w->open_bytes != 0) {
        put_head(w, w->open_at,
                 frame_head(EPHPM_FRAME_BODY, false, w->open_bytes));
        w->head = frame_padded(w->head);
        w->open_bytes = 0;
    }
}

static void publish(writing_t *w)
{
    close_frame(w);
    st_rel(&w->ring->head, w->head);
}

/* The frame at the tail may be half read: its head's place is taken. */
static uint32_t room(const writing_t *w)
{
    return (w->tail & ~UINT32_C(3)) + EPHPM_RING_BYTES - w->head;
}

/* @return false: the tail is not where it can be */
static bool look_at_tail(writing_t *w)
{
    w->tail = atomic_load(&w->ring->tail);
    return w->head - w->tail <= EPHPM_RING_BYTES;
}

/* Does anybody want what this task writes? */
static bool wanted(const ephpm_task_t *task)
{
    uint64_t word = atomic_load(&task->jobs->words[task->slot]);

    return word_same(word, task->word) && (word & WORD_S) != 0 &&
           word_state(word) == EPHPM_JOB_RUNNING;
}

bool ephpm_task_abandoned(const ephpm_task_t *task)
{
    uint64_t word = ld_acq(&task->jobs->words[task->slot]);

    return !word_same(word, task->word) || (word & WORD_S) == 0;
}

void ephpm_task_wake(ephpm_task_t *task)
{
    if (task->unseen_bytes != 0) {
        task->unseen_bytes = 0;
        publish(&task->jobs->writing);
        ephpm_jobs_notify(task->jobs, task->slot, task->word, false);
    }
}

static bool wait_for_room(ephpm_task_t *task, uint32_t bytes)
{
    writing_t *w = &task->jobs->writing;

    while (room(w) < bytes) {
        if (!look_at_tail(w)) {
            return false;
        }
        if (room(w) >= bytes) {
            break;
        }
        ephpm_task_wake(task);
        uint32_t tail = w->tail;
        atomic_store(&w->ring->wanted, 1);
        /* Once more, after saying so: tail and word. */
        if (!wanted(task) || !look_at_tail(w)) {
            st_rlx(&w->ring->wanted, 0);
            return false;
        }
        if (room(w) < bytes) {
            kv_futex_wait(&w->ring->wanted, 1, EPHPM_LOOK_AGAIN_MS);
        }
        st_rlx(&w->ring->wanted, 0);
        if (!look_at_tail(w)) {
            return false;
        }
        if (w->tail == tail) {
            /* Abandons the job, if so. */
            ephpm_jobs_submitter_dead(task->jobs, word_submitter(task->word));
        }
    }
    return true;
}

static void unseen(ephpm_task_t *task, uint32_t bytes)
{
    task->unseen_bytes += bytes;
    if (task->unseen_bytes >= UNSEEN_BYTES) {
        ephpm_task_wake(task);
    }
}

static bool write_body(ephpm_task_t *task, const char *data, size_t bytes)
{
    writing_t *w = &task->jobs->writing;

    if (w->open_bytes != 0 && bytes <= GATHER_BYTES - w->open_bytes &&
        bytes <= room(w)) {
        put(w, data, (uint32_t)bytes);
        w->open_bytes += (uint32_t)bytes;
        unseen(task, (uint32_t)bytes);
        return true;
    }
    while (bytes > 0) {
        close_frame(w);
        if (!wait_for_room(task, FRAME_HEAD_BYTES +
                           frame_padded(least(bytes, GATHER_BYTES)))) {
            return false;
        }
        uint32_t piece = least(bytes, room(w) - FRAME_HEAD_BYTES);
        piece = least(piece, PIECE_BYTES);
        w->open_at = w->head;
        w->head += FRAME_HEAD_BYTES;
        put(w, data, piece);
        w->open_bytes = piece;
        data += piece;
        bytes -= piece;
        if (piece >= GATHER_BYTES) {
            publish(w);
        }
        unseen(task, FRAME_HEAD_BYTES + piece);
    }
    return true;
}

/* All other frames; in parts where that is allowed. */
static bool write_whole(ephpm_task_t *task, ephpm_frame_type_t type,
                        const char *data, size_t bytes)
{
    writing_t *w = &task->jobs->writing;
    bool more;

    close_frame(w);
    do {
        uint32_t piece = least(bytes, PIECE_BYTES);
        uint32_t padded = FRAME_HEAD_BYTES + frame_padded(piece);
        if (!wait_for_room(task, padded)) {
            return false;
        }
        more = piece < bytes;
        put_head(w, w->head, frame_head(type, more, piece));
        w->head += FRAME_HEAD_BYTES;
        if (piece > 0) {
            put(w, data, piece);
            w->head = frame_padded(w->head);
        }
        data += piece;
        bytes -= piece;
        publish(w);
        unseen(task, padded);
    } while (more);
    return true;
}

bool ephpm_task_write(ephpm_task_t *task, ephpm_frame_type_t type,
                      const void *data, size_t bytes)
{
    bool parts = type == EPHPM_FRAME_HEAD || type == EPHPM_FRAME_INTERIM;

    if (task->answered || !wanted(task)) {
        return false;
    }
    if (type == EPHPM_FRAME_BODY) {
        return bytes == 0 || write_body(task, data, bytes);
    }
    if (bytes > (parts ? EPHPM_HEAD_BYTES_MAX : PIECE_BYTES) ||
        !write_whole(task, type, data, bytes)) {
        return false;
    }
    if (type == EPHPM_FRAME_FLUSH || type == EPHPM_FRAME_INTERIM) {
        ephpm_task_wake(task);
    }
    return true;
}

bool ephpm_ring_end(ephpm_task_t *task, const ephpm_job_end_t *end)
{
    static const ephpm_job_end_t nothing;

    if (task->answered || !wanted(task)) {
        return false;
    }
    if (end == NULL) {
        end = &nothing;
    }
    /* The name's unused room stays here. */
    return write_whole(task, EPHPM_FRAME_END, (const char *)end,
                       offsetof(ephpm_job_end_t, user) +
                           strnlen(end->user, sizeof(end->user)));
}

/* ------------------------------------------------------------------ */
/* Reading                                                             */

/* @return NULL: there is none yet, or none that is this job's */
static ring_t *find_ring(ephpm_job_t *job, uint64_t word, bool *broken)
{
    const ephpm_jobs_t *jobs = job->jobs;

    *broken = false;
    if (job->ring != 0) {
        return &jobs->ring[job->ring - 1];
    }
    uint32_t number = ld_acq(&jobs->slot[job->slot].ring);
    if (number == 0 || word_state(word) < EPHPM_JOB_RUNNING) {
        return NULL;
    }
    if (number > jobs->rings || (number - 1) / 2 != word_runner(word) ||
        ld_acq(&jobs->ring[number - 1].bearer) !=
            ((uint64_t)(job->slot + 1) << 32 | word_ticket(job->word))) {
        *broken = true;
        return NULL;
    }
    job->ring = number;
    job->tail = 0;
    return &jobs->ring[number - 1];
}

static void copy_out(const ring_t *ring, uint32_t at, char *to,
                     uint32_t bytes)
{
    at &= RING_MASK;
    uint32_t first = least(EPHPM_RING_BYTES - at, bytes);
    memcpy(to, ring->data + at, first);
    memcpy(to + first, ring->data, bytes - first);
}

/* What is read is free. */
static void give_back(const ephpm_job_t *job, ring_t *ring)
{
    atomic_store(&ring->tail, job->tail);
    if (atomic_load(&ring->wanted) != 0 &&
        ld_rlx(&ring->head) - job->tail <= EPHPM_RING_BYTES - ENOUGH_ROOM) {
        st_rlx(&ring->wanted, 0);
        kv_futex_wake(&ring->wanted);
    }
}

/* Pass on `bytes` of the body at the tail, up to the ring's end.
 * @return false: not all was taken */
static bool pass_body(ephpm_job_t *job, const ring_t *ring,
                      ephpm_frame_fn take, void *to)
{
    uint32_t at = job->tail & RING_MASK;
    uint32_t bytes = least(EPHPM_RING_BYTES - at, job->frame_left);
    uint32_t took = least(
        take(to, EPHPM_FRAME_BODY, ring->data + at, bytes), bytes);

    job->tail += took;
    job->frame_left -= took;
    if (job->frame_left == 0) {
        job->tail += job->frame_pad;
        job->frame_pad = 0;
    }
    return took == bytes;
}

/* Append a part of a frame that comes in several; none is empty. */
static bool gather(ephpm_job_t *job, const ring_t *ring, uint32_t at,
                   uint32_t bytes)
{
    size_t sum = job->gathered_bytes + bytes;

    if (bytes == 0 || sum > EPHPM_HEAD_BYTES_MAX) {
        return false;
    }
    if (sum > job->gathered_room) {
        size_t size = 2 * sum;
        char *grown = realloc(job->gathered, size);
        if (grown == NULL) {
            return false;
        }
        job->gathered = grown;
        job->gathered_room = size;
    }
    copy_out(ring, at, job->gathered + job->gathered_bytes, bytes);
    job->gathered_bytes = sum;
    return true;
}

static ephpm_read_t pass_end(ephpm_job_t *job, const char *data,
                             uint32_t bytes, ephpm_frame_fn take, void *to)
{
    ephpm_job_end_t end = { 0 };

    if (bytes < offsetof(ephpm_job_end_t, user) || bytes > sizeof(end)) {
        return EPHPM_READ_BROKEN;
    }
    memcpy(&end, data, bytes);
    end.user[sizeof(end.user) - 1] = '\0';
    if (take(to, EPHPM_FRAME_END, &end, sizeof(end)) < sizeof(end)) {
        return EPHPM_READ_STOPPED;
    }
    job->ended = true;
    return EPHPM_READ_END;
}

/* Pass on a frame that is not a body's, whole and out of the others' reach.
 * @return EPHPM_READ_MORE, STOPPED (nothing was read), END, BROKEN */
static ephpm_read_t pass_whole(ephpm_job_t *job, const ring_t *ring,
                               uint32_t head, ephpm_frame_fn take, void *to)
{
    char piece[PIECE_BYTES];
    unsigned type = head & (FRAME_MORE - 1);
    bool more = (head & FRAME_MORE) != 0;
    uint32_t bytes = head >> 8;
    uint32_t at = job->tail + FRAME_HEAD_BYTES;
    const char *data = piece;
    size_t data_bytes = bytes;
    size_t before = job->gathered_bytes;

    if (job->gathered_type != 0 ? type != job->gathered_type
                                : more && type != EPHPM_FRAME_HEAD &&
                                      type != EPHPM_FRAME_INTERIM) {
        return EPHPM_READ_BROKEN;
    }
    if (more || job->gathered_type != 0) {
        if (!gather(job, ring, at, bytes)) {
            return EPHPM_READ_BROKEN;
        }
        data = job->gathered;
        data_bytes = job->gathered_bytes;
    } else {
        copy_out(ring, at, piece, bytes);
    }
    if (more) {
        job->gathered_type = type;
    } else if (type == EPHPM_FRAME_END) {
        ephpm_read_t read = pass_end(job, data, bytes, take, to);
        if (read != EPHPM_READ_END) {
            return read;
        }
    } else if (take(to, (ephpm_frame_type_t)type, data, data_bytes) <
               data_bytes) {
        job->gathered_bytes = before;
        return EPHPM_READ_STOPPED;
    } else {
        job->gathered_bytes = 0;
        job->gathered_type = 0;
    }
    job->tail = at + frame_padded(bytes);
    return job->ended ? EPHPM_READ_END : EPHPM_READ_MORE;
}

/* A runner that has written END may still be about to say that it has ended.
 * Only then does it count as free for the next job, and only then do we say
 * that this one has ended: else a queue of no places would refuse the next. */
static bool still_runs(const ephpm_job_t *job)
{
    uint64_t word = atomic_load(&job->jobs->words[job->slot]);

    return word_same(word, job->word) &&
           word_state(word) == EPHPM_JOB_RUNNING;
}

static ephpm_read_t read_frames(ephpm_job_t *job, ring_t *ring,
                                ephpm_frame_fn take, void *to)
{
    uint32_t head = ld_acq(&ring->head);

    if (head - job->tail > EPHPM_RING_BYTES) {
        return EPHPM_READ_BROKEN;
    }
    while (head != job->tail) {
        uint32_t there = head - job->tail;
        if (job->frame_left != 0) {
            if (job->frame_left + job->frame_pad > there) {
                return EPHPM_READ_BROKEN;
            }
            if (!pass_body(job, ring, take, to)) {
                return EPHPM_READ_STOPPED;
            }
            continue;
        }
        uint32_t frame;
        if (there < FRAME_HEAD_BYTES) {
            return EPHPM_READ_BROKEN;
        }
        kv_copy(&frame, ring->data + (job->tail & RING_MASK), sizeof(frame));
        unsigned type = frame & (FRAME_MORE - 1);
        uint32_t bytes = frame >> 8;
        if (type < EPHPM_FRAME_HEAD || type > EPHPM_FRAME_END ||
            bytes > PIECE_BYTES ||
            FRAME_HEAD_BYTES + frame_padded(bytes) > there) {
            return EPHPM_READ_BROKEN;
        }
        if (type == EPHPM_FRAME_BODY) {
            if (job->gathered_type != 0) {
                return EPHPM_READ_BROKEN;
            }
            job->tail += FRAME_HEAD_BYTES;
            job->frame_left = bytes;
            job->frame_pad = frame_padded(bytes) - bytes;
            continue;
        }
        if (type == EPHPM_FRAME_END && still_runs(job)) {
            return EPHPM_READ_MORE;
        }
        ephpm_read_t read = pass_whole(job, ring, frame, take, to);
        if (read != EPHPM_READ_MORE) {
            return read;
        }
    }
    return EPHPM_READ_MORE;
}

ephpm_read_t ephpm_job_read(ephpm_job_t *job, ephpm_frame_fn take, void *to)
{
    ephpm_jobs_t *jobs = job->jobs;
    bool broken;

    if (job->ended) {
        return EPHPM_READ_END;
    }
    job->seen_news = atomic_load(&jobs->slot[job->slot].news);
    uint64_t word = atomic_load(&jobs->words[job->slot]);
    if (!word_same(word, job->word) || (word & WORD_S) == 0) {
        return EPHPM_READ_CRASHED;
    }
    ring_t *ring = find_ring(job, word, &broken);
    if (broken) {
        return EPHPM_READ_BROKEN;
    }
    if (ring != NULL) {
        ephpm_read_t read = read_frames(job, ring, take, to);
        give_back(job, ring);
        if (read != EPHPM_READ_MORE) {
            return read;
        }
    }
    switch (word_state(word)) {
    case EPHPM_JOB_KILLED:
        return EPHPM_READ_KILLED;
    case EPHPM_JOB_CRASHED:
        return EPHPM_READ_CRASHED;
    case EPHPM_JOB_ANSWERED:
    case EPHPM_JOB_ENDING:
    case EPHPM_JOB_DONE:
        /* END comes before these. */
        return EPHPM_READ_BROKEN;
    default:
        return EPHPM_READ_MORE;
    }
}

/* ------------------------------------------------------------------ */
/* The head of a response                                              */

/* The text at *at; *at is behind its NUL then.  NULL: it has none. */
static const char *text(const char **at, const char *end)
{
    const char *start = *at;
    const char *nul = memchr(start, '\0', (size_t)(end - start));

    if (nul != NULL) {
        *at = nul + 1;
    }
    return nul == NULL ? NULL : start;
}

bool ephpm_head_each(const void *data, size_t bytes, int *status,
                     const char **reason, ephpm_head_fn pass, void *to)
{
    const char *at = data;
    const char *end = at + bytes;
    int32_t number;

    if (bytes < sizeof(number)) {
        return false;
    }
    memcpy(&number, at, sizeof(number));
    at += sizeof(number);
    *status = number;
    *reason = text(&at, end);
    if (*reason == NULL) {
        return false;
    }
    if (**reason == '\0') {
        *reason = NULL;
    }
    while (at < end) {
        int op = (unsigned char)*at++;
        const char *name = at < end ? text(&at, end) : NULL;
        const char *value = name != NULL && at < end ? text(&at, end) : NULL;
        if (value == NULL) {
            return false;
        }
        pass(to, op, name, value);
    }
    return true;
}
