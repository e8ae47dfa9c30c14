/* ephpm_snapshot.c - see ephpm_snapshot.h. */

#include "ephpm_snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define ITEM_HEAD_BYTES 8u
/* Of a temporary file: the body and whatever else there is. */
#define FILE_BYTES_MAX (2u * EPHPM_SNAPSHOT_BODY_MAX)

static size_t padded(size_t bytes)
{
    return (bytes + 3) & ~(size_t)3;
}

static bool is_text(unsigned kind)
{
    return kind >= EPHPM_ITEM_METHOD && kind < EPHPM_ITEM_TEXT_LAST;
}

static bool is_number(unsigned kind)
{
    return kind > EPHPM_ITEM_TEXT_LAST && kind < EPHPM_ITEM_NUMBER_LAST;
}

static bool is_pair(unsigned kind)
{
    return kind > EPHPM_ITEM_NUMBER_LAST && kind < EPHPM_ITEM_PAIR_LAST;
}

/* ------------------------------------------------------------------ */
/* Writing                                                             */

static void fail(ephpm_snapshot_writer_t *writer, int error)
{
    if (writer->error == 0) {
        writer->error = error;
    }
}

void ephpm_snapshot_begin(ephpm_snapshot_writer_t *writer, void *area,
                          size_t room, const char *folder, const char *name)
{
    size_t kept =
        ITEM_HEAD_BYTES + padded(strlen(folder) + 1 + strlen(name) + 1);

    *writer = (ephpm_snapshot_writer_t){
        .area = area,
        .room = room,
        .folder = folder,
        .name = name,
        .file = -1,
        .kept = kept,
    };
    if (kept > room) {
        writer->kept = room;
        fail(writer, ENAMETOOLONG);
    }
}

size_t ephpm_snapshot_room(const ephpm_snapshot_writer_t *writer)
{
    size_t used = writer->bytes + writer->kept + ITEM_HEAD_BYTES;

    return used < writer->room ? (writer->room - used) & ~(size_t)3 : 0;
}

static void remove_file(ephpm_snapshot_writer_t *writer)
{
    if (writer->file >= 0) {
        close(writer->file);
        writer->file = -1;
    }
    if (writer->file_path != NULL) {
        unlink(writer->file_path);
        free(writer->file_path);
        writer->file_path = NULL;
    }
}

static bool open_file(ephpm_snapshot_writer_t *writer)
{
    size_t bytes = strlen(writer->folder) + 1 + strlen(writer->name) + 1;
    char *path = malloc(bytes);

    if (path == NULL) {
        fail(writer, ENOMEM);
        return false;
    }
    snprintf(path, bytes, "%s/%s", writer->folder, writer->name);
    writer->file =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writer->file < 0) {
        fail(writer, errno);
        free(path);
        return false;
    }
    writer->file_path = path;
    return true;
}

/* One after the other, whole. */
static void write_file(ephpm_snapshot_writer_t *writer, struct iovec *part,
                       int parts)
{
    while (parts > 0) {
        ssize_t bytes = writev(writer->file, part, parts);
        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes < 0) {
            fail(writer, errno);
            return;
        }
        while (parts > 0 && (size_t)bytes >= part->iov_len) {
            bytes -= (ssize_t)part->iov_len;
            part++;
            parts--;
        }
        if (parts > 0) {
            part->iov_base = (char *)part->iov_base + bytes;
            part->iov_len -= (size_t)bytes;
        }
    }
}

static void make_head(unsigned char *head, ephpm_item_t kind, size_t bytes)
{
    uint32_t length = (uint32_t)bytes;

    memset(head, 0, 4);
    head[0] = (unsigned char)kind;
    memcpy(head + 4, &length, sizeof(length));
}

static void put(ephpm_snapshot_writer_t *writer, const void *data,
                size_t bytes)
{
    memcpy(writer->area + writer->bytes, data, bytes);
    writer->bytes += bytes;
}

/* An item in two parts and a NUL after each that is asked for. */
static void put_item(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                     const void *first, size_t first_bytes, bool first_nul,
                     const void *second, size_t second_bytes, bool second_nul)
{
    static const char zeros[4];
    unsigned char head[ITEM_HEAD_BYTES];
    size_t bytes = first_bytes + first_nul + second_bytes + second_nul;

    if (writer->error != 0) {
        return;
    }
    if (first_bytes > UINT32_MAX / 4 || second_bytes > UINT32_MAX / 4) {
        fail(writer, EFBIG);
        return;
    }
    size_t pad = padded(bytes) - bytes;
    make_head(head, kind, bytes);
    /* What follows an item in the file goes there too: pairs have an order.
     */
    if (writer->file < 0 && bytes <= ephpm_snapshot_room(writer)) {
        put(writer, head, sizeof(head));
        put(writer, first, first_bytes);
        put(writer, zeros, first_nul);
        put(writer, second, second_bytes);
        put(writer, zeros, second_nul + pad);
        return;
    }
    if (writer->file >= 0 || open_file(writer)) {
        struct iovec part[] = {
            { head, sizeof(head) },
            { (void *)(uintptr_t)first, first_bytes },
            { (void *)(uintptr_t)zeros, first_nul },
            { (void *)(uintptr_t)second, second_bytes },
            { (void *)(uintptr_t)zeros, second_nul + pad },
        };
        write_file(writer, part, 5);
    }
}

void ephpm_snapshot_text_n(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                           const char *text, size_t length)
{
    if (text == NULL) {
        return;
    }
    if (!is_text(kind)) {
        fail(writer, EINVAL);
    } else if (memchr(text, '\0', length) != NULL) {
        fail(writer, EILSEQ);
    } else {
        put_item(writer, kind, text, length, true, "", 0, false);
    }
}

void ephpm_snapshot_text(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                         const char *text)
{
    ephpm_snapshot_text_n(writer, kind, text,
                          text == NULL ? 0 : strlen(text));
}

void ephpm_snapshot_number(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                           int64_t number)
{
    if (!is_number(kind)) {
        fail(writer, EINVAL);
    } else if (number != 0) {
        put_item(writer, kind, &number, sizeof(number), false, "", 0, false);
    }
}

void ephpm_snapshot_pair_n(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                           const char *name, size_t name_length,
                           const char *value, size_t value_length)
{
    if (!is_pair(kind)) {
        fail(writer, EINVAL);
    } else if (memchr(name, '\0', name_length) != NULL ||
               memchr(value, '\0', value_length) != NULL) {
        fail(writer, EILSEQ);
    } else {
        put_item(writer, kind, name, name_length, true, value, value_length,
                 true);
    }
}

void ephpm_snapshot_pair(ephpm_snapshot_writer_t *writer, ephpm_item_t kind,
                         const char *name, const char *value)
{
    ephpm_snapshot_pair_n(writer, kind, name, strlen(name), value,
                          strlen(value));
}

static bool same(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

void ephpm_snapshot_setting(ephpm_snapshot_writer_t *writer,
                            const ephpm_setting_t *setting)
{
    size_t length = strlen(setting->name);
    char name[256];

    if (length + 2 > sizeof(name)) {
        fail(writer, ENAMETOOLONG);
        return;
    }
    if (!same(setting->file, writer->ini_file) ||
        setting->line != writer->ini_line) {
        char line[16];
        snprintf(line, sizeof(line), "%d", setting->line);
        ephpm_snapshot_pair(writer, EPHPM_ITEM_INI_FILE,
                            setting->file == NULL ? "" : setting->file, line);
        writer->ini_file = setting->file;
        writer->ini_line = setting->line;
    }
    name[0] = (char)('0' + setting->admin + 2 * setting->htaccess);
    memcpy(name + 1, setting->name, length + 1);
    ephpm_snapshot_pair(writer, EPHPM_ITEM_INI, name, setting->value);
}

void *ephpm_snapshot_body(ephpm_snapshot_writer_t *writer, size_t bytes)
{
    if (writer->error != 0) {
        return NULL;
    }
    if (bytes > EPHPM_SNAPSHOT_BODY_MAX || writer->body != NULL) {
        fail(writer, bytes > EPHPM_SNAPSHOT_BODY_MAX ? EFBIG : EINVAL);
        return NULL;
    }
    if (bytes <= ephpm_snapshot_room(writer)) {
        unsigned char head[ITEM_HEAD_BYTES];
        make_head(head, EPHPM_ITEM_BODY, bytes);
        put(writer, head, sizeof(head));
        char *body = writer->area + writer->bytes;
        writer->bytes += padded(bytes);
        memset(body + bytes, 0, padded(bytes) - bytes);
        return body;
    }
    writer->body = malloc(bytes);
    writer->body_bytes = bytes;
    if (writer->body == NULL) {
        fail(writer, ENOMEM);
    }
    return writer->body;
}

int ephpm_snapshot_end(ephpm_snapshot_writer_t *writer)
{
    if (writer->body != NULL) {
        put_item(writer, EPHPM_ITEM_BODY, writer->body, writer->body_bytes,
                 false, "", 0, false);
        free(writer->body);
        writer->body = NULL;
    }
    if (writer->file >= 0) {
        int file = writer->file;
        writer->file = -1;
        if (close(file) != 0) {
            fail(writer, errno);
        }
        writer->kept = 0;
        if (writer->error == 0) {
            ephpm_snapshot_text(writer, EPHPM_ITEM_MORE_FILE,
                                writer->file_path);
        }
    }
    if (writer->error != 0) {
        remove_file(writer);
    }
    return writer->error;
}

void ephpm_snapshot_discard(ephpm_snapshot_writer_t *writer)
{
    free(writer->body);
    writer->body = NULL;
    remove_file(writer);
}

/* ------------------------------------------------------------------ */
/* Reading                                                             */

int64_t ephpm_snapshot_get(const ephpm_snapshot_t *snapshot,
                           ephpm_item_t kind)
{
    return is_number(kind)
               ? snapshot->numbers[kind - EPHPM_ITEM_TEXT_LAST - 1]
               : 0;
}

bool ephpm_snapshot_setting_next(const ephpm_snapshot_t *snapshot, size_t *at,
                                 ephpm_setting_t *setting)
{
    while (*at < snapshot->pair_count) {
        const ephpm_pair_t *pair = &snapshot->pairs[(*at)++];
        if (pair->kind == EPHPM_ITEM_INI_FILE) {
            setting->file = pair->name[0] == '\0' ? NULL : pair->name;
            setting->line = (int)strtol(pair->value, NULL, 10);
        } else if (pair->kind == EPHPM_ITEM_INI) {
            setting->admin = ((pair->name[0] - '0') & 1) != 0;
            setting->htaccess = ((pair->name[0] - '0') & 2) != 0;
            setting->name = pair->name + 1;
            setting->value = pair->value;
            return true;
        }
    }
    return false;
}

static bool add_pair(ephpm_snapshot_t *snapshot, ephpm_item_t kind,
                     const char *name, const char *value)
{
    if (snapshot->pair_count == snapshot->pair_room) {
        size_t room = snapshot->pair_room == 0 ? 64 : 2 * snapshot->pair_room;
        ephpm_pair_t *grown =
            realloc(snapshot->pairs, room * sizeof(*snapshot->pairs));
        if (grown == NULL) {
            return false;
        }
        snapshot->pairs = grown;
        snapshot->pair_room = room;
    }
    snapshot->pairs[snapshot->pair_count++] =
        (ephpm_pair_t){ kind, name, value };
    return true;
}

/* Is there a NUL at the end and nowhere else? */
static bool ends_well(const char *text, size_t bytes)
{
    return bytes > 0 && memchr(text, '\0', bytes) == text + bytes - 1;
}

static const char *take_item(ephpm_snapshot_t *snapshot, unsigned kind,
                             const char *data, size_t bytes)
{
    if (is_text(kind)) {
        if (!ends_well(data, bytes)) {
            return "a text of the request has no end";
        }
        snapshot->texts[kind] = data;
    } else if (is_number(kind)) {
        if (bytes != sizeof(int64_t)) {
            return "a number of the request has another size";
        }
        memcpy(&snapshot->numbers[kind - EPHPM_ITEM_TEXT_LAST - 1], data,
               sizeof(int64_t));
    } else if (is_pair(kind)) {
        size_t name_bytes = strnlen(data, bytes) + 1;
        if (name_bytes > bytes ||
            !ends_well(data + name_bytes, bytes - name_bytes) ||
            (kind == EPHPM_ITEM_INI && name_bytes < 3)) {
            return "a pair of the request has no end";
        }
        if (!add_pair(snapshot, (ephpm_item_t)kind, data,
                      data + name_bytes)) {
            return "no memory for the request";
        }
    } else if (kind == EPHPM_ITEM_BODY) {
        snapshot->body = data;
        snapshot->body_bytes = bytes;
    } else {
        return "the request has an item of no known kind";
    }
    return NULL;
}

static const char *take_items(ephpm_snapshot_t *snapshot, const char *at,
                              size_t bytes)
{
    while (bytes > 0) {
        uint32_t length;
        if (bytes < ITEM_HEAD_BYTES) {
            return "the request is cut short";
        }
        memcpy(&length, at + 4, sizeof(length));
        unsigned kind = (unsigned char)at[0];
        at += ITEM_HEAD_BYTES;
        bytes -= ITEM_HEAD_BYTES;
        if (length > bytes || padded(length) > bytes) {
            return "the request is cut short";
        }
        const char *wrong = take_item(snapshot, kind, at, length);
        if (wrong != NULL) {
            return wrong;
        }
        at += padded(length);
        bytes -= padded(length);
    }
    return NULL;
}

/* A file of ours, and no other's that somebody has put there. */
static const char *open_more(const char *path, int *file, size_t *bytes)
{
    struct stat status;

    *file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (*file < 0) {
        return errno == ENOENT ? "the request's file is not there"
               : errno == ELOOP
                   ? "the request's file is a symbolic link"
                   : "the request's file cannot be opened";
    }
    if (fstat(*file, &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != geteuid() || status.st_nlink != 1 ||
        status.st_size < 0 || status.st_size > (off_t)FILE_BYTES_MAX) {
        return "the request's file is not the submitter's";
    }
    *bytes = (size_t)status.st_size;
    return NULL;
}

static const char *read_whole(int file, char *to, size_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(file, to, bytes);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got < 0 ? "the request's file cannot be read"
                           : "the request's file is cut short";
        }
        to += got;
        bytes -= (size_t)got;
    }
    return NULL;
}

static const char *read_more(ephpm_snapshot_t *snapshot, const char *path)
{
    int file;
    size_t bytes = 0;
    const char *wrong = open_more(path, &file, &bytes);

    if (wrong == NULL) {
        unlink(path);
        snapshot->more = malloc(bytes + 1);
        wrong = snapshot->more == NULL
                    ? "no memory for the request"
                    : read_whole(file, snapshot->more, bytes);
    }
    if (file >= 0) {
        close(file);
    }
    if (wrong == NULL) {
        snapshot->texts[EPHPM_ITEM_MORE_FILE] = NULL;
        wrong = take_items(snapshot, snapshot->more, bytes);
    }
    if (wrong == NULL && snapshot->texts[EPHPM_ITEM_MORE_FILE] != NULL) {
        wrong = "the request's file names another";
    }
    return wrong;
}

const char *ephpm_snapshot_read(ephpm_snapshot_t *snapshot, const char *area,
                                size_t bytes)
{
    free(snapshot->more);
    *snapshot = (ephpm_snapshot_t){
        .pairs = snapshot->pairs,
        .pair_room = snapshot->pair_room,
    };
    const char *wrong = take_items(snapshot, area, bytes);
    const char *path = snapshot->texts[EPHPM_ITEM_MORE_FILE];
    if (wrong == NULL && path != NULL) {
        wrong = read_more(snapshot, path);
    }
    return wrong;
}

void ephpm_snapshot_clear(ephpm_snapshot_t *snapshot)
{
    free(snapshot->pairs);
    free(snapshot->more);
    *snapshot = (ephpm_snapshot_t){ 0 };
}
