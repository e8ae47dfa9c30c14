/* kv_evict.c - see kv_evict.h.
 *
 * The order in which a shard gives up memory:
 *
 *   1. a segment without a live record is recycled as it is;
 *   2. records past their deadline are dropped, in the segments that have
 *      been overdue for longest;
 *   3. a segment of which a quarter (noeviction: a twentieth) is dead is
 *      compacted: its live records are copied forward, whatever the policy,
 *      and nothing is lost.  The unused end of a segment does not count as
 *      dead: copying the same records again would leave it again;
 *   4. the policy chooses a segment and which of its records stay.
 *
 * The two segments that a shard is writing to, its open ones, are spared by 3
 * and 4 as long as there are others.  Where there are none, one of the shard's
 * own that has enough dead bytes is copied into a fresh one; then the policy
 * chooses from the open ones too, the shard's own before those of others.  At
 * random every key must go at some time: there the main queue's open segment,
 * which may never fill up, is one like all others.
 *
 * allkeys-lru and volatile-lru approximate "least recently used" by S3-FIFO
 * (Yang et al., SOSP 2023), over segments instead of single objects.  New
 * keys go to a small queue of segments; what was read there at least twice
 * by the time its segment is the oldest is copied to the main queue, the
 * rest leaves ghosts in the index.  A key that is set again while its ghost
 * is fresh goes to the main queue at once.  The main queue is a FIFO that
 * copies forward what was read since, one frequency less.  Copying forward
 * a live record *is* the reinsertion.
 *
 * Where everything is in use, copying forward gains nothing until the
 * frequencies have fallen.  After LENIENT_ROUNDS such segments in one search
 * at most half of a segment is copied, so each further one frees the other
 * half and a writer's wait is bounded.
 */

#include "kv_evict.h"

#include "kv_clock.h"
#include "kv_derive.h"
#include "kv_large.h"
#include "kv_lock.h"

/* Records looked at together, so that their buckets' cache misses overlap. */
#define BATCH 16u
/* Segments searched for expired records in one go. */
#define SWEEPS 2u
/* The small queue's part of a shard's log segments: a tenth. */
#define SMALL_PART 10u
/* Read so often in the small queue a key goes to the main one. */
#define SMALL_FREQUENCY 2u
/* Segments that may be copied forward whole in one search for room. */
#define LENIENT_ROUNDS 4u
/* A shard with fewer log segments than this lives off the others. */
#define OWN_SEGMENTS_MIN 3u
/* Looked at for being dead when another one is opened. */
#define RECENT_SEGMENTS 4u
/* For other shards' locks, in one go: longer than a writer that is running
 * holds one. */
#define BRIEF_WAIT_MS 20u

/* What of a segment is copied forward, and what becomes of the rest. */
typedef struct keep {
    bool all;             /* compaction */
    bool permanent;       /* what has no deadline */
    uint64_t frequency;   /* what was read so often at least; 0: nothing */
    bool reset;           /* its frequency: to 0, else one less */
    bool ghosts;          /* the rest leaves ghosts */
    bool renew;           /* copied within its queue, else to the main one */
    uint32_t max_bytes;   /* by frequency, at most */
} keep_t;

/* ------------------------------------------------------------------ */
/* Walking a segment                                                   */

typedef struct seen {
    unsigned char *record;
    kv_shape_t shape;
    uint64_t hash;
} seen_t;

/* Read up to BATCH records from *at on; returns how many. */
static uint32_t read_batch(kv_store_t *store, uint32_t segment, uint32_t *at,
                           uint32_t end, seen_t *batch, bool *broken)
{
    unsigned char *start = kv_segment_start(store, segment);
    uint32_t count = 0;

    while (count < BATCH && *at < end) {
        seen_t *seen = &batch[count];
        seen->record = start + *at;
        if (end - *at < KV_RECORD_MIN_BYTES ||
            !kv_record_shape(seen->record, end - *at, &seen->shape) ||
            seen->shape.key_len == 0) {
            *broken = true;
            break;
        }
        seen->hash = kv_hash(store, seen->record + seen->shape.head_bytes,
                             seen->shape.key_len);
        __builtin_prefetch(kv_hash_home(store, seen->hash), 1);
        *at += seen->shape.total_bytes;
        count++;
    }
    return count;
}

static uint32_t segment_end(const kv_store_t *store, uint32_t segment)
{
    uint32_t end = ld_rlx(&store->segment[segment].write_off);
    return end <= store->geometry.segment_bytes
               ? end : store->geometry.segment_bytes;
}

static kv_queue_t queue_of(const kv_store_t *store, uint32_t segment)
{
    return kv_word_state(ld_rlx(&store->words[segment])) == KV_STATE_MAIN
               ? KV_QUEUE_MAIN : KV_QUEUE_SMALL;
}

/* Copy a live record into the queue and let its slot point there. */
static bool copy_forward(kv_store_t *store, kv_shard_t *shard,
                         kv_queue_t queue, const seen_t *seen,
                         _Atomic uint64_t *slot, uint64_t frequency_bits)
{
    const kv_shape_t *shape = &seen->shape;
    if (!kv_segment_has_room(store, shard, queue, shape->total_bytes) &&
        !kv_segment_open(store, shard, queue, true)) {
        return false;
    }
    unsigned char *copy =
        kv_record_append(store, shard, queue, shape->flags, shape->key_len,
                         shape->stored_bytes);
    st_rlx(kv_record_word(copy, 0), ld_rlx(kv_record_word(seen->record, 0)));
    kv_copy(copy + 16, seen->record + 16, shape->total_bytes - 16);
    st_rel(slot, kv_slot_make(kv_hash_tag(seen->hash), frequency_bits,
                              (uint64_t)(copy - store->data)));
    kv_segment_remove_live(store, shard, seen->record, shape->flags,
                           shape->total_bytes);
    kv_segment_add_live(store, shard, copy, shape->flags,
                        shape->total_bytes);
    return true;
}

static void drop(kv_store_t *store, kv_shard_t *shard, const seen_t *seen,
                 _Atomic uint64_t *slot, kv_count_t why, bool ghost)
{
    uint64_t leave = 0;

    if (why == KV_COUNT_EVICTIONS) {
        uint64_t evicted =
            (ld_rlx(&shard->evicted) + 1) & KV_GHOST_AGE_MASK;
        st_rlx(&shard->evicted, evicted);
        if (ghost) {
            leave = kv_hash_tag(seen->hash) << KV_TAG_SHIFT | KV_GHOST |
                    evicted;
        }
    }
    kv_slot_clear(store, shard, kv_hash_home(store, seen->hash), slot,
                  seen->record, &seen->shape, leave);
    kv_count(store, why, 1);
}

/* A segment without a live record goes back to the pool. */
static void recycle(kv_store_t *store, kv_shard_t *shard, uint32_t segment)
{
    kv_segment_unlink(store, shard, segment);
    kv_pool_return(store, segment);
}

/* Clear or copy forward every live record of the segment, then recycle it.
 * false: a record that must stay found no room; what was done is done. */
static bool empty_segment(kv_store_t *store, kv_shard_t *shard,
                          uint32_t segment, const keep_t *keep)
{
    seen_t batch[BATCH];
    uint32_t at = KV_SEGMENT_HEAD_BYTES;
    uint32_t end = segment_end(store, segment);
    uint32_t copied = 0;
    int64_t now_ms = kv_now_ms();
    kv_queue_t queue =
        keep->renew ? queue_of(store, segment) : KV_QUEUE_MAIN;
    bool broken = false;

    /* Nothing is copied into the segment itself. */
    if (ld_rlx(&shard->open[queue]) == segment + 1) {
        st_rlx(&shard->open[queue], 0);
    }
    while (at < end && !broken &&
           ld_rlx(&store->segment[segment].live_bytes) != 0) {
        uint32_t count =
            read_batch(store, segment, &at, end, batch, &broken);
        for (uint32_t i = 0; i < count; i++) {
            seen_t *seen = &batch[i];
            uint64_t offset = (uint64_t)(seen->record - store->data);
            _Atomic uint64_t *slot =
                kv_chain_slot_of(store, seen->hash, offset);
            if (slot == NULL) {
                continue;
            }
            int64_t deadline_ms =
                kv_record_deadline_ms(seen->record, seen->shape.flags);
            if (deadline_ms != 0 && deadline_ms <= now_ms) {
                drop(store, shard, seen, slot, KV_COUNT_EXPIRATIONS, false);
                continue;
            }
            uint64_t bits = ld_rlx(slot) & KV_FREQUENCY_MASK;
            uint64_t frequency = bits >> KV_FREQUENCY_SHIFT;
            bool must_stay =
                keep->all || (keep->permanent && deadline_ms == 0);
            bool may_stay =
                keep->frequency != 0 && frequency >= keep->frequency &&
                copied + seen->shape.total_bytes <= keep->max_bytes;
            if (must_stay || may_stay) {
                if (!keep->all && bits != 0) {
                    bits = keep->reset ? 0 : bits - KV_FREQUENCY_ONE;
                }
                if (copy_forward(store, shard, queue, seen, slot, bits)) {
                    copied += seen->shape.total_bytes;
                    continue;
                }
                if (must_stay) {
                    return false;
                }
            }
            drop(store, shard, seen, slot, KV_COUNT_EVICTIONS,
                 keep->ghosts);
        }
    }
    if (ld_rlx(&store->segment[segment].live_bytes) != 0) {
        return false;
    }
    recycle(store, shard, segment);
    return true;
}

/* Drop the segment's expired records and find its next deadline. */
static void sweep_segment(kv_store_t *store, kv_shard_t *shard,
                          uint32_t segment)
{
    seen_t batch[BATCH];
    uint32_t at = KV_SEGMENT_HEAD_BYTES;
    uint32_t end = segment_end(store, segment);
    int64_t now_ms = kv_now_ms();
    int64_t next_ms = INT64_MAX;
    bool broken = false;

    while (at < end && !broken) {
        uint32_t count =
            read_batch(store, segment, &at, end, batch, &broken);
        for (uint32_t i = 0; i < count; i++) {
            seen_t *seen = &batch[i];
            int64_t deadline_ms =
                kv_record_deadline_ms(seen->record, seen->shape.flags);
            if (deadline_ms == 0) {
                continue;
            }
            _Atomic uint64_t *slot = kv_chain_slot_of(
                store, seen->hash, (uint64_t)(seen->record - store->data));
            if (slot == NULL) {
                continue;
            }
            if (deadline_ms <= now_ms) {
                drop(store, shard, seen, slot, KV_COUNT_EXPIRATIONS, false);
            } else if (deadline_ms < next_ms) {
                next_ms = deadline_ms;
            }
        }
    }
    st_rlx(&store->segment[segment].min_deadline_ms, next_ms);
}

/* ------------------------------------------------------------------ */
/* Choosing a segment                                                  */

typedef struct choice {
    uint32_t idle;         /* nothing live */
    uint32_t overdue;      /* longest past a deadline */
    uint32_t deadest;      /* most dead bytes before write_off; not open */
    uint32_t dead_bytes;
    uint32_t oldest[KV_QUEUES]; /* that the policy may evict from */
    uint32_t count;        /* segments that could be chosen */
} choice_t;

static bool is_open(const kv_shard_t *shard, kv_queue_t queue,
                    uint32_t segment)
{
    return ld_rlx(&shard->open[queue]) == segment + 1;
}

/* In neither queue. */
static bool is_closed(const kv_shard_t *shard, uint32_t segment)
{
    return !is_open(shard, KV_QUEUE_SMALL, segment) &&
           !is_open(shard, KV_QUEUE_MAIN, segment);
}

/* May the policy choose from this log segment? */
static bool may_choose(const kv_store_t *store, const kv_shard_t *shard,
                       uint32_t segment, bool open_too)
{
    return open_too ||
           (!is_open(shard, KV_QUEUE_SMALL, segment) &&
            (!is_open(shard, KV_QUEUE_MAIN, segment) ||
             store->config.eviction == KV_ALLKEYS_RANDOM));
}

static void look_at_segments(kv_store_t *store, kv_shard_t *shard,
                             bool open_too, choice_t *choice)
{
    uint64_t oldest_sequence[KV_QUEUES] = { UINT64_MAX, UINT64_MAX };
    int64_t overdue_ms = kv_now_ms();
    bool volatile_only = store->config.eviction == KV_VOLATILE_LRU;
    uint32_t permanent_max = store->geometry.segment_bytes / 16 * 15;
    uint32_t at = ld_rlx(&shard->first);

    *choice = (choice_t){ KV_NO_SEGMENT, KV_NO_SEGMENT, KV_NO_SEGMENT,
                          0, { KV_NO_SEGMENT, KV_NO_SEGMENT }, 0 };
    for (uint32_t steps = 0; at != 0 && at <= store->segments &&
                             steps < store->segments; steps++) {
        uint32_t segment = at - 1;
        kv_segment_t *books = &store->segment[segment];
        at = ld_rlx(&books->next);
        kv_state_t state = kv_word_state(ld_rlx(&store->words[segment]));
        if (state != KV_STATE_SMALL && state != KV_STATE_MAIN) {
            continue;
        }
        int queue = state == KV_STATE_MAIN ? KV_QUEUE_MAIN : KV_QUEUE_SMALL;
        if (ld_rlx(&books->min_deadline_ms) <= overdue_ms) {
            overdue_ms = ld_rlx(&books->min_deadline_ms);
            choice->overdue = segment;
        }
        uint32_t live = ld_rlx(&books->live_bytes);
        if (live == 0) {
            choice->idle = segment;
        }
        uint32_t dead = ld_rlx(&books->write_off) - KV_SEGMENT_HEAD_BYTES -
                        live;
        if (dead > choice->dead_bytes && is_closed(shard, segment)) {
            choice->deadest = segment;
            choice->dead_bytes = dead;
        }
        if (!may_choose(store, shard, segment, open_too)) {
            continue;
        }
        choice->count++;
        if (ld_rlx(&books->sequence) < oldest_sequence[queue] &&
            (!volatile_only ||
             (ld_rlx(&books->permanent_bytes) <= permanent_max &&
              ld_rlx(&books->permanent_bytes) < live))) {
            oldest_sequence[queue] = ld_rlx(&books->sequence);
            choice->oldest[queue] = segment;
        }
    }
}

static uint64_t shard_random(kv_shard_t *shard)
{
    /* xorshift64 (Marsaglia 2003): good enough to choose a victim. */
    uint64_t x = ld_rlx(&shard->random) | 1;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    st_rlx(&shard->random, x);
    return x;
}

static uint32_t random_segment(kv_store_t *store, kv_shard_t *shard,
                               bool open_too, uint32_t count)
{
    uint32_t skip = (uint32_t)(shard_random(shard) >> 32) % count;
    uint32_t at = ld_rlx(&shard->first);

    for (uint32_t steps = 0; at != 0 && at <= store->segments &&
                             steps < store->segments; steps++) {
        uint32_t segment = at - 1;
        at = ld_rlx(&store->segment[segment].next);
        if (kv_word_state(ld_rlx(&store->words[segment])) == KV_STATE_LARGE ||
            !may_choose(store, shard, segment, open_too)) {
            continue;
        }
        if (skip-- == 0) {
            return segment;
        }
    }
    return KV_NO_SEGMENT;
}

/* Where nearly everything is chunks of large values no log segment fills up
 * and closes: evict large values themselves, oldest first. */
static bool evict_large(kv_store_t *store, kv_shard_t *shard)
{
    seen_t batch[BATCH];
    uint64_t after = 0;

    if (store->config.eviction == KV_NOEVICTION) {
        return false;
    }
    for (;;) {
        uint32_t segment = KV_NO_SEGMENT;
        uint64_t sequence = UINT64_MAX;
        uint32_t at = ld_rlx(&shard->first);
        for (uint32_t steps = 0; at != 0 && at <= store->segments &&
                                 steps < store->segments; steps++) {
            kv_segment_t *books = &store->segment[at - 1];
            if (kv_word_state(ld_rlx(&store->words[at - 1])) !=
                    KV_STATE_LARGE &&
                ld_rlx(&books->sequence) > after &&
                ld_rlx(&books->sequence) < sequence) {
                segment = at - 1;
                sequence = ld_rlx(&books->sequence);
            }
            at = ld_rlx(&books->next);
        }
        if (segment == KV_NO_SEGMENT) {
            return false;
        }
        after = sequence;
        uint32_t offset = KV_SEGMENT_HEAD_BYTES;
        uint32_t end = segment_end(store, segment);
        bool broken = false;
        while (offset < end && !broken) {
            uint32_t count =
                read_batch(store, segment, &offset, end, batch, &broken);
            for (uint32_t i = 0; i < count; i++) {
                seen_t *seen = &batch[i];
                if (!(seen->shape.flags & KV_FLAG_LARGE)) {
                    continue;
                }
                _Atomic uint64_t *slot = kv_chain_slot_of(
                    store, seen->hash,
                    (uint64_t)(seen->record - store->data));
                if (slot == NULL ||
                    (store->config.eviction == KV_VOLATILE_LRU &&
                     kv_record_deadline_ms(seen->record,
                                           seen->shape.flags) == 0)) {
                    continue;
                }
                drop(store, shard, seen, slot, KV_COUNT_EVICTIONS, true);
                return true;
            }
        }
    }
}

void kv_evict_idle(kv_store_t *store, kv_shard_t *shard)
{
    choice_t choice;

    for (look_at_segments(store, shard, false, &choice);
         choice.idle != KV_NO_SEGMENT;
         look_at_segments(store, shard, false, &choice)) {
        recycle(store, shard, choice.idle);
    }
}

/* S3-FIFO: from the small queue while it has more than its tenth, else from
 * the main queue; from the other where the one has nothing to give. */
static bool evict_by_age(kv_store_t *store, kv_shard_t *shard,
                         const choice_t *choice, bool strict)
{
    uint32_t small = ld_rlx(&shard->count[KV_QUEUE_SMALL]);
    uint32_t all = small + ld_rlx(&shard->count[KV_QUEUE_MAIN]);
    uint32_t segment_bytes = store->geometry.segment_bytes;
    int queue = small * SMALL_PART > all ? KV_QUEUE_SMALL : KV_QUEUE_MAIN;

    if (choice->oldest[queue] == KV_NO_SEGMENT) {
        queue = queue == KV_QUEUE_MAIN ? KV_QUEUE_SMALL : KV_QUEUE_MAIN;
    }
    if (choice->oldest[queue] == KV_NO_SEGMENT) {
        return false;
    }
    keep_t keep = {
        .permanent = store->config.eviction == KV_VOLATILE_LRU,
        .frequency = queue == KV_QUEUE_SMALL ? SMALL_FREQUENCY : 1,
        .reset = queue == KV_QUEUE_SMALL,
        .ghosts = queue == KV_QUEUE_SMALL,
        .max_bytes = strict ? segment_bytes / 2 : segment_bytes,
    };
    return empty_segment(store, shard, choice->oldest[queue], &keep);
}

static bool evict_at_random(kv_store_t *store, kv_shard_t *shard,
                            bool open_too, const choice_t *choice)
{
    static const keep_t keep_nothing = { 0 };
    if (choice->count == 0) {
        return false;
    }
    uint32_t segment = random_segment(store, shard, open_too, choice->count);
    return segment != KV_NO_SEGMENT &&
           empty_segment(store, shard, segment, &keep_nothing);
}

/* So many dead bytes make it worth while to copy the rest of a segment. */
static uint32_t compact_min(const kv_store_t *store)
{
    return store->geometry.segment_bytes /
           (store->config.eviction == KV_NOEVICTION ? 20 : 4);
}

/* Empty one segment of the shard.  false: the policy allows none.  With
 * `strict` at least half of it is evicted; else all of it may have been
 * copied forward, so that nothing is gained yet but its frequencies fell. */
static bool evict_one(kv_store_t *store, kv_shard_t *shard, bool strict,
                      bool open_too)
{
    static const keep_t keep_all = { .all = true };
    kv_eviction_t policy = store->config.eviction;
    choice_t choice;

    for (uint32_t sweeps = 0;; sweeps++) {
        look_at_segments(store, shard, open_too, &choice);
        if (choice.idle != KV_NO_SEGMENT) {
            recycle(store, shard, choice.idle);
            return true;
        }
        if (choice.overdue == KV_NO_SEGMENT || sweeps == SWEEPS) {
            break;
        }
        uint32_t large = ld_rlx(&shard->large_count);
        sweep_segment(store, shard, choice.overdue);
        if (ld_rlx(&shard->large_count) < large) {
            return true;
        }
    }
    if (choice.deadest != KV_NO_SEGMENT &&
        choice.dead_bytes >= compact_min(store) &&
        empty_segment(store, shard, choice.deadest, &keep_all)) {
        return true;
    }
    if (policy == KV_NOEVICTION) {
        return false;
    }
    if (policy == KV_ALLKEYS_RANDOM
            ? evict_at_random(store, shard, open_too, &choice)
            : evict_by_age(store, shard, &choice, strict)) {
        return true;
    }
    return ld_rlx(&shard->large_count) != 0 && evict_large(store, shard);
}

/* Copy what lives in the queue's open segment into a fresh one, if that makes
 * room for `bytes`. */
static bool renew_open(kv_store_t *store, kv_shard_t *shard, kv_queue_t queue,
                       uint64_t bytes)
{
    static const keep_t keep_all = { .all = true, .renew = true };
    uint32_t open = ld_rlx(&shard->open[queue]);

    if (open == 0 || open > store->segments) {
        return false;
    }
    uint32_t used = segment_end(store, open - 1);
    uint32_t kept = KV_SEGMENT_HEAD_BYTES +
                    ld_rlx(&store->segment[open - 1].live_bytes);
    return kept + bytes <= store->geometry.segment_bytes &&
           kept + compact_min(store) <= used &&
           kv_segment_open(store, shard, queue, true) &&
           empty_segment(store, shard, open - 1, &keep_all);
}

/* ------------------------------------------------------------------ */
/* Making room                                                         */

/* What a shard could give: its segments, or under noeviction its dead
 * bytes.  Read without its lock: a hint. */
static uint64_t shard_wealth(const kv_store_t *store, const kv_shard_t *shard)
{
    uint64_t log = (uint64_t)ld_rlx(&shard->count[KV_QUEUE_SMALL]) +
                   ld_rlx(&shard->count[KV_QUEUE_MAIN]);
    if (store->config.eviction != KV_NOEVICTION) {
        return log + ld_rlx(&shard->large_count);
    }
    uint64_t bytes = log << store->segment_shift;
    uint64_t live = ld_rlx(&shard->live_bytes);
    return bytes > live ? bytes - live : 0;
}

/* A search for room in other shards. */
typedef struct search {
    bool open_too;          /* nothing else is left */
    bool waits;             /* a lock may be let go that could not be had */
    int64_t give_up_ms;     /* when not to wait for it any more; 0: unset */
} search_t;

/* Evict in one of these shards, the richest first.  Waits for at most
 * limit_ms in all; *shards becomes those whose locks could not be had. */
static bool evict_in(kv_store_t *store, uint64_t *shards, int64_t limit_ms,
                     bool open_too)
{
    int64_t give_up_ms = kv_now_ms() + limit_ms;
    uint64_t left = *shards;
    uint64_t busy = 0;

    for (;;) {
        kv_shard_t *richest = NULL;
        uint64_t most = 0;
        for (uint32_t i = 0; i < store->geometry.shards; i++) {
            kv_shard_t *shard = &store->shards[i];
            uint64_t wealth = shard_wealth(store, shard);
            if ((left >> i & 1) && wealth > most) {
                richest = shard;
                most = wealth;
            }
        }
        if (richest == NULL) {
            break;
        }
        uint64_t bit = UINT64_C(1) << kv_shard_number(store, richest);
        left &= ~bit;
        if (kv_shard_lock_within(store, richest,
                                 give_up_ms - kv_now_ms()) != KV_OK) {
            busy |= bit;
            continue;
        }
        bool freed = evict_one(store, richest, true, open_too);
        kv_unlock(&richest->lock);
        if (freed) {
            return true;
        }
    }
    *shards = busy;
    return false;
}

/* Evict in some other shard; no lock is held.  One whose lock is taken comes
 * after all others, and is waited for only briefly: its writer may be
 * stopped, and who has nothing to do with it goes on.  KV_BUSY: nothing was
 * found, but not everywhere could be looked. */
static kv_result_t evict_elsewhere(kv_store_t *store, const kv_shard_t *not_in,
                                   search_t *search)
{
    uint32_t limit_ms = store->config.wait_limit_ms;
    uint64_t shards = UINT64_MAX;

    if (not_in != NULL) {
        shards &= ~(UINT64_C(1) << kv_shard_number(store, not_in));
    }
    if (evict_in(store, &shards, 0, search->open_too) ||
        (shards != 0 &&
         evict_in(store, &shards,
                  limit_ms < BRIEF_WAIT_MS ? limit_ms : BRIEF_WAIT_MS,
                  search->open_too))) {
        return KV_OK;
    }
    search->waits = false;
    for (uint32_t i = 0; i < store->geometry.shards; i++) {
        search->waits |= (shards >> i & 1) &&
                         ld_rlx(&store->shards[i].lock) != store->lock_word;
    }
    return shards == 0 ? KV_NO_ROOM : KV_BUSY;
}

/* Nothing was found: go on with the open segments? */
static bool last_resort(const kv_store_t *store, search_t *search)
{
    bool more = !search->open_too && store->config.eviction != KV_NOEVICTION;
    search->open_too = true;
    return more;
}

/* After KV_BUSY: try again?  Until the wait limit has run down. */
static bool look_again(const kv_store_t *store, search_t *search)
{
    int64_t now_ms = kv_now_ms();
    if (search->give_up_ms == 0) {
        search->give_up_ms = now_ms + store->config.wait_limit_ms;
    }
    return search->waits && now_ms < search->give_up_ms;
}

static uint32_t log_segments(const kv_shard_t *shard)
{
    return ld_rlx(&shard->count[KV_QUEUE_SMALL]) +
           ld_rlx(&shard->count[KV_QUEUE_MAIN]);
}

/* Where a few keys are set again and again the segments that were filled last
 * are dead already: use those first, whose lines and pages the processor has
 * at hand, rather than go through all the memory. */
static void recycle_recent(kv_store_t *store, kv_shard_t *shard)
{
    uint32_t at = ld_rlx(&shard->first);

    for (uint32_t steps = 0; at != 0 && at <= store->segments &&
                             steps < RECENT_SEGMENTS; steps++) {
        uint32_t segment = at - 1;
        const kv_segment_t *books = &store->segment[segment];
        at = ld_rlx(&books->next);
        if (ld_rlx(&books->live_bytes) == 0 &&
            kv_word_state(ld_rlx(&store->words[segment])) !=
                KV_STATE_LARGE &&
            is_closed(shard, segment)) {
            recycle(store, shard, segment);
        }
    }
}

kv_result_t kv_evict_for_record(kv_store_t *store, kv_shard_t *shard,
                                kv_queue_t queue, uint64_t bytes)
{
    if (bytes > store->geometry.segment_bytes - KV_SEGMENT_HEAD_BYTES) {
        return KV_NO_ROOM;
    }
    /* Others may take what is freed here, so more than one round can be
     * needed; every round frees a segment or makes the room in one. */
    uint32_t round = 0;
    search_t search = { 0 };
    recycle_recent(store, shard);
    while (round < store->segments + 16) {
        if (kv_segment_has_room(store, shard, queue, bytes) ||
            kv_segment_open(store, shard, queue, false)) {
            return KV_OK;
        }
        kv_large_reap(store);
        bool strict = round >= LENIENT_ROUNDS;
        bool poor =
            log_segments(shard) < OWN_SEGMENTS_MIN && !search.open_too;
        if ((!poor && evict_one(store, shard, strict, search.open_too)) ||
            renew_open(store, shard, queue, bytes)) {
            round++;
            continue;
        }
        kv_unlock(&shard->lock);
        kv_result_t result = evict_elsewhere(store, shard, &search);
        if (kv_shard_lock(store, shard) != KV_OK) {
            return KV_BUSY;
        }
        /* What another found nothing in may have been given back since. */
        if (result == KV_OK ||
            (poor && evict_one(store, shard, strict, false)) ||
            kv_segment_has_room(store, shard, queue, bytes) ||
            kv_segment_open(store, shard, queue, false)) {
            round++;
            continue;
        }
        if (last_resort(store, &search)) {
            continue;
        }
        if (result == KV_NO_ROOM) {
            return KV_NO_ROOM;
        }
        if (!look_again(store, &search)) {
            kv_unlock(&shard->lock);
            return KV_BUSY;
        }
    }
    return KV_NO_ROOM;
}

kv_result_t kv_evict_for_chunk(kv_store_t *store, uint32_t *segment)
{
    uint32_t round = 0;
    search_t search = { 0 };

    while (round < store->segments + 16) {
        *segment = kv_pool_claim(store, KV_STATE_BUILDING, store->entry,
                                 false);
        if (*segment != KV_NO_SEGMENT) {
            return KV_OK;
        }
        kv_result_t result = evict_elsewhere(store, NULL, &search);
        if (result == KV_OK) {
            round++;
            continue;
        }
        *segment = kv_pool_claim(store, KV_STATE_BUILDING, store->entry,
                                 false);
        if (*segment != KV_NO_SEGMENT) {
            return KV_OK;
        }
        if (!last_resort(store, &search) &&
            (result == KV_NO_ROOM || !look_again(store, &search))) {
            return result;
        }
    }
    return KV_NO_ROOM;
}
