/* kv_change.c - removing keys, adding to counters, setting deadlines; each
 * under its shard's lock, and harmless to kill as kv_write.c says. */

#include "kv_clock.h"
#include "kv_number.h"
#include "kv_read.h"
#include "kv_write.h"

#include <stdlib.h>

typedef enum remove {
    REMOVE_LIVE,
    REMOVE_VERSION, /* only of this version */
    REMOVE_EXPIRED  /* only if it has expired */
} remove_t;

static kv_result_t remove_key(kv_store_t *store, const void *key,
                              size_t key_len, remove_t which, uint64_t version)
{
    kv_place_t place;
    kv_result_t result = kv_write_check_key(store, key_len);

    if (result != KV_OK) {
        return result == KV_TOO_LARGE ? KV_MISSING : result;
    }
    uint64_t hash = kv_hash(store, key, key_len);
    kv_shard_t *shard = kv_write_shard(store, hash);
    result = kv_shard_lock(store, shard);
    if (result != KV_OK) {
        return result;
    }
    kv_place_find(store, hash, key, key_len, &place);
    if (place.slot == NULL) {
        result = KV_MISSING;
    } else if (place.expired) {
        result = KV_MISSING;
        kv_count(store, KV_COUNT_EXPIRATIONS, 1);
    } else if (which == REMOVE_EXPIRED ||
               (which == REMOVE_VERSION &&
                place.shape.version + store->epoch != version)) {
        result = KV_DIFFERENT;
    } else {
        kv_count(store, KV_COUNT_DELETES, 1);
    }
    if (place.slot != NULL && result != KV_DIFFERENT) {
        kv_slot_clear(store, shard, place.home, place.slot, place.record,
                      &place.shape, 0);
    }
    kv_unlock(&shard->lock);
    return result;
}

kv_result_t kv_key_delete(kv_store_t *store, const void *key, size_t key_len)
{
    return remove_key(store, key, key_len, REMOVE_LIVE, 0);
}

kv_result_t kv_key_delete_version(kv_store_t *store, const void *key,
                                  size_t key_len, uint64_t version)
{
    return remove_key(store, key, key_len, REMOVE_VERSION, version);
}

void kv_key_remove_expired(kv_store_t *store, const void *key, size_t key_len)
{
    (void)remove_key(store, key, key_len, REMOVE_EXPIRED, 0);
}

/* Is the value `expected`?  Its version, if so. */
static kv_result_t read_equal(kv_store_t *store, const void *key,
                              size_t key_len, const void *expected,
                              size_t expected_len, uint64_t *version)
{
    kv_result_t result;

    do {
        kv_read_t read;
        char small[256];
        void *value = small;
        result = kv_read_begin(store, key, key_len, &read);
        if (result != KV_OK) {
            return result;
        }
        if (read.value_bytes != expected_len) {
            return KV_DIFFERENT;
        }
        /* Not the scratch buffer, which unpacking uses. */
        if (expected_len > sizeof(small)) {
            value = malloc(expected_len);
            if (value == NULL) {
                return KV_NO_MEMORY;
            }
        }
        result = kv_read_copy(store, &read, value);
        if (result == KV_OK && memcmp(value, expected, expected_len) != 0) {
            result = KV_DIFFERENT;
        }
        if (value != small) {
            free(value);
        }
        *version = read.version;
    } while (result == KV_RETRY);
    return result;
}

kv_result_t kv_key_delete_equal(kv_store_t *store, const void *key,
                                size_t key_len, const void *expected,
                                size_t expected_len)
{
    for (;;) {
        uint64_t version;
        kv_result_t result =
            read_equal(store, key, key_len, expected, expected_len, &version);
        if (result == KV_OK) {
            result = kv_key_delete_version(store, key, key_len, version);
            if (result == KV_DIFFERENT) {
                continue; /* changed since: compare anew */
            }
        }
        return result;
    }
}

kv_result_t kv_value_set_equal(kv_store_t *store, const void *key,
                               size_t key_len, const void *expected,
                               size_t expected_len, const void *value,
                               size_t value_len, int64_t ttl_ms)
{
    for (;;) {
        uint64_t version;
        kv_result_t result =
            read_equal(store, key, key_len, expected, expected_len, &version);
        if (result == KV_OK) {
            result = kv_write_version(store, key, key_len, value, value_len,
                                      ttl_ms, KV_SET_IF_PRESENT, version);
            if (result == KV_DIFFERENT) {
                continue;
            }
        }
        return result;
    }
}

/* Add in place: the record is a counter already. */
static KV_INLINE kv_result_t add_in_place(kv_store_t *store, kv_place_t *place,
                                          int64_t delta, int64_t *sum)
{
    _Atomic uint64_t *counter =
        kv_record_counter(place->record, place->shape.flags);
    int64_t next;

    if (__builtin_add_overflow((int64_t)ld_rlx(counter), delta, &next)) {
        return KV_OVERFLOW;
    }
    kv_shard_t *shard = place->shard;
    uint64_t version = kv_shard_next_version(shard);
    st_rel(&shard->noted,
           (uint64_t)((unsigned char *)place->record - store->data));
    st_rel(counter, (uint64_t)next);
    st_rel(kv_record_word(place->record, 0),
           version << 16 | place->shape.key_len);
    st_rel(&shard->noted, 0);
    kv_wake(store, shard, place->home);
    *sum = next;
    return KV_OK;
}

/* Add to the number that the key's value is in writing. */
static KV_INLINE kv_result_t add_to_text(const kv_place_t *place, int64_t delta,
                                         int64_t *sum)
{
    const kv_shape_t *shape = &place->shape;
    int64_t now;

    if ((shape->flags & (KV_FLAG_RAW | KV_FLAG_LARGE)) ||
        !kv_number_parse((const char *)place->record + shape->head_bytes +
                             shape->key_len,
                         shape->stored_bytes, &now)) {
        return KV_NOT_INTEGER;
    }
    return __builtin_add_overflow(now, delta, sum) ? KV_OVERFLOW : KV_OK;
}

static KV_INLINE kv_result_t add_locked(kv_store_t *store, uint64_t hash,
                                        const void *key, size_t key_len,
                                        const kv_memo_t *memo, int64_t delta,
                                        int64_t *sum)
{
    kv_place_t place;
    int64_t next = delta;
    int64_t deadline_ms = 0;

    kv_write_find(store, hash, key, key_len, memo, 0, &place);
    if (place.slot != NULL && !place.expired) {
        if (place.shape.flags & KV_FLAG_COUNTER) {
            return add_in_place(store, &place, delta, sum);
        }
        kv_result_t result = add_to_text(&place, delta, &next);
        if (result != KV_OK) {
            return result;
        }
        deadline_ms = kv_record_deadline_ms(place.record, place.shape.flags);
    }
    _Atomic uint64_t *slot = kv_write_slot(store, hash, key, key_len, &place);
    if (slot == NULL) {
        return KV_NO_ROOM;
    }
    kv_change_t change = {
        .flags = KV_FLAG_COUNTER, .deadline_ms = deadline_ms, .stored = ""};
    if (deadline_ms != 0) {
        change.flags |= KV_FLAG_DEADLINE;
    }
    void *record = kv_write_record(store, &place, key, key_len, &change);
    st_rlx(kv_record_counter(record, change.flags), (uint64_t)next);
    *sum = next;
    return kv_write_publish(store, &place, slot, record, change.flags,
                            (uint32_t)kv_record_bytes(change.flags, key_len, 0),
                            kv_shard_next_version(place.shard), key_len);
}

/* add_locked() where there is no room for a record: a counter that is there
 * already needs none.  Once one was seen to live it is added to, though it may
 * expire this very moment.  Lets go of the lock. */
static KV_NOINLINE kv_result_t
add_without_room(kv_store_t *store, uint64_t hash, const void *key,
                 size_t key_len, uint64_t bytes, int64_t delta, int64_t *sum)
{
    kv_shard_t *shard = kv_write_shard(store, hash);
    kv_result_t result = KV_OK;
    kv_place_t place;

    kv_place_find(store, hash, key, key_len, &place);
    bool present = place.slot != NULL && !place.expired;
    if (present && (place.shape.flags & KV_FLAG_COUNTER)) {
        result = add_in_place(store, &place, delta, sum);
        kv_unlock(&shard->lock);
        return result;
    }
    if (present) {
        int64_t next;
        result = add_to_text(&place, delta, &next);
        if (result != KV_OK) {
            kv_unlock(&shard->lock);
            return result;
        }
    }
    result = kv_write_make_room(store, shard, bytes);
    if (result == KV_OK) {
        result = add_locked(store, hash, key, key_len, NULL, delta, sum);
        kv_unlock(&shard->lock);
    }
    return result;
}

KV_FLATTEN kv_result_t kv_counter_add(kv_store_t *store, const void *key,
                                      size_t key_len, int64_t delta,
                                      int64_t *sum)
{
    kv_result_t result = kv_write_check_key(store, key_len);
    if (result != KV_OK) {
        return result;
    }
    const kv_memo_t *memo;
    uint64_t hash = kv_write_hash(store, key, key_len, &memo);
    kv_shard_t *shard = kv_write_shard(store, hash);
    uint64_t bytes =
        kv_record_bytes(KV_FLAG_COUNTER | KV_FLAG_DEADLINE, key_len, 0);
    result = kv_shard_lock(store, shard);
    if (result != KV_OK) {
        return result;
    }
    if (UNLIKELY(!kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes))) {
        return add_without_room(store, hash, key, key_len, bytes, delta, sum);
    }
    result = add_locked(store, hash, key, key_len, memo, delta, sum);
    kv_unlock(&shard->lock);
    return result;
}

/* A record that has no place for a deadline: copy it into one that has.  The
 * record keeps its version.  There is room. */
static kv_result_t copy_with_deadline(kv_store_t *store, kv_place_t *place,
                                      const void *key, int64_t deadline_ms)
{
    const kv_shape_t *shape = &place->shape;
    const unsigned char *old = place->record;
    uint32_t flags = shape->flags | KV_FLAG_DEADLINE;
    uint32_t words = shape->head_bytes - 16;

    unsigned char *record =
        kv_record_append(store, place->shard, KV_QUEUE_SMALL, flags,
                         shape->key_len, shape->stored_bytes);
    st_rlx(kv_record_deadline(record), (uint64_t)deadline_ms);
    kv_copy(record + 24, old + 16, words);
    kv_copy(record + 24 + words, key, shape->key_len);
    kv_copy(record + 24 + words + shape->key_len,
            old + shape->head_bytes + shape->key_len, shape->stored_bytes);
    return kv_write_publish(
        store, place, place->slot, record, flags,
        (uint32_t)kv_record_bytes(flags, shape->key_len, shape->stored_bytes),
        shape->version, shape->key_len);
}

kv_result_t kv_deadline_set(kv_store_t *store, const void *key, size_t key_len,
                            int64_t ttl_ms)
{
    kv_place_t place;
    kv_result_t result = kv_write_check_key(store, key_len);

    if (result != KV_OK) {
        return result == KV_TOO_LARGE ? KV_MISSING : result;
    }
    int64_t deadline_ms =
        ttl_ms > 0 ? kv_deadline_after(kv_now_ms(), ttl_ms) : 0;
    uint64_t hash = kv_hash(store, key, key_len);
    kv_shard_t *shard = kv_write_shard(store, hash);
    result = kv_shard_lock(store, shard);
    if (result != KV_OK) {
        return result;
    }
    for (;;) {
        kv_place_find(store, hash, key, key_len, &place);
        const kv_shape_t *shape = &place.shape;
        if (place.slot == NULL || place.expired) {
            result = KV_MISSING;
            break;
        }
        if (shape->flags & KV_FLAG_DEADLINE) {
            _Atomic uint64_t *word = kv_record_deadline(place.record);
            kv_segment_move_deadline(store, place.record, shape->total_bytes,
                                     (int64_t)ld_rlx(word), deadline_ms);
            st_rel(word, (uint64_t)deadline_ms);
            break;
        }
        if (deadline_ms == 0) {
            break;
        }
        uint64_t bytes = kv_record_bytes(shape->flags | KV_FLAG_DEADLINE,
                                         shape->key_len, shape->stored_bytes);
        if (kv_segment_has_room(store, shard, KV_QUEUE_SMALL, bytes)) {
            result = copy_with_deadline(store, &place, key, deadline_ms);
            break;
        }
        result = kv_write_make_room(store, shard, bytes);
        if (result != KV_OK) {
            return result;
        }
    }
    kv_unlock(&shard->lock);
    return result;
}
