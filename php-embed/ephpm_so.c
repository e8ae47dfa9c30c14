/* ephpm_so.c - ephpm.so: the extension by itself, for the PHP command line
 * and php-fpm.
 *
 * No host gives it a store.  With ephpm.kv_socket it uses a running server's
 * (ephpm_so_remote.c); else it brings a private one: shared memory of
 * ephpm.cli_size that this PHP and the processes it forks have in common,
 * php-fpm's children or those of pcntl_fork().
 *
 *      page 0            page 1 ...
 *     +-----------------+------------------------------+
 *     | making, made    | the store                    |
 *     +-----------------+------------------------------+
 *
 * The memory is mapped when PHP starts, which costs next to nothing, and the
 * store is created in it at the first call of a function, whichever process
 * that happens in; `making` is robust, so one that dies over it leaves the
 * work to the next.  `made` is set last.
 */

#include "ephpm_so.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct private_area {
    pthread_mutex_t making;
    atomic_bool made;
} private_area_t;

static private_area_t *area;
static size_t area_bytes;   /* page 0 and the store */
static size_t page_bytes;

static bool make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attr;
    bool ok;

    if (pthread_mutexattr_init(&attr) != 0) {
        return false;
    }
    ok = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0
        && pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0
        && pthread_mutex_init(mutex, &attr) == 0;
    pthread_mutexattr_destroy(&attr);
    return ok;
}

static void map_area(void)
{
    size_t store_bytes = EPHPM_G(cli_size_bytes);
    void *memory = MAP_FAILED;

    page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    errno = ENOMEM;
    if (store_bytes <= SIZE_MAX - page_bytes) {
        area_bytes = page_bytes + store_bytes;
        memory = mmap(NULL, area_bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
    if (memory == MAP_FAILED) {
        zend_error(E_CORE_WARNING,
            "ephpm.cli_size = \"%s\": that much memory cannot be had (%s); "
            "there is no store until it is made smaller",
            INI_STR("ephpm.cli_size"), strerror(errno));
        return;
    }
#ifdef MADV_DONTDUMP
    madvise(memory, area_bytes, MADV_DONTDUMP);
#endif
    if (!make_mutex(&((private_area_t *)memory)->making)) {
        munmap(memory, area_bytes);
        zend_error(E_CORE_WARNING,
            "ephpm: this system has no robust mutexes; there is no store");
        return;
    }
    area = memory;
}

/* Handles of threads may be let go of after MSHUTDOWN, but not after this. */
__attribute__((destructor)) static void unmap_area(void)
{
    if (area != NULL) {
        munmap(area, area_bytes);
        area = NULL;
    }
}

/* Create the store unless it is there. */
static bool make_store(void *memory, size_t size_bytes)
{
    int locked;

    if (atomic_load_explicit(&area->made, memory_order_acquire)) {
        return true;
    }
    locked = pthread_mutex_lock(&area->making);
    if (locked == EOWNERDEAD) {
        pthread_mutex_consistent(&area->making);
    } else if (locked != 0) {
        return false;
    }
    if (!atomic_load_explicit(&area->made, memory_order_relaxed)
        && kv_store_create(memory, size_bytes, NULL) == KV_OK) {
        atomic_store_explicit(&area->made, true, memory_order_release);
    }
    pthread_mutex_unlock(&area->making);
    return atomic_load_explicit(&area->made, memory_order_relaxed);
}

/* The private store has no name, so whoever asks for one by name gets none. */
static kv_store_t *private_lookup(const char *name)
{
    if (name != NULL) {
        return NULL;
    }
    if (EPHPM_G(own_store) == NULL && area != NULL) {
        void *memory = (char *)area + page_bytes;
        size_t size_bytes = area_bytes - page_bytes;

        if (make_store(memory, size_bytes)) {
            kv_store_attach(memory, size_bytes, &EPHPM_G(own_store));
        }
    }
    return EPHPM_G(own_store);
}

PHP_INI_BEGIN()
    STD_PHP_INI_ENTRY("ephpm.kv_socket", "", PHP_INI_SYSTEM, OnUpdateString,
                      kv_socket, zend_ephpm_globals, ephpm_globals)
    STD_PHP_INI_ENTRY("ephpm.kv_password_file", "", PHP_INI_SYSTEM,
                      OnUpdateString, kv_password_file, zend_ephpm_globals,
                      ephpm_globals)
    STD_PHP_INI_ENTRY("ephpm.kv_timeout", "5", PHP_INI_SYSTEM,
                      OnUpdateLongGEZero, kv_timeout, zend_ephpm_globals,
                      ephpm_globals)
PHP_INI_END()

static zend_module_entry so_entry;

static zend_result so_startup(INIT_FUNC_ARGS)
{
    zend_result result = ephpm_module_entry.module_startup_func(
        INIT_FUNC_ARGS_PASSTHRU);

    if (result == SUCCESS) {
        REGISTER_INI_ENTRIES();
    }
    if (result == SUCCESS && area == NULL) {
        map_area();
    }
    return result;
}

static void so_globals_end(void *globals)
{
    zend_ephpm_globals *ending = globals;

    ephpm_remote_free(ending->remote);
    ending->remote = NULL;
    ephpm_module_entry.globals_dtor(globals);
}

ZEND_DLEXPORT zend_module_entry *get_module(void);

ZEND_DLEXPORT zend_module_entry *get_module(void)
{
    so_entry = ephpm_module_entry;
    so_entry.module_startup_func = so_startup;
    so_entry.globals_dtor = so_globals_end;
    ephpm_ext_set_lookup(private_lookup);
    ephpm_set_elsewhere(ephpm_remote_ops);
    return &so_entry;
}
