#include "engine/data/csv_scanner.h"

#include <stdio.h>
#include <string.h>
#include <tread/files.h>

#include "core/memory.h"
#include "core/status.h"

/* Bytes read at a time; a field must fit, with one to spare behind it. */
#define BUFFER_BYTES (2 * TREAD_CSV_MAX_FIELD)
#define TEXT_SHOWN 40

static tread_status fill(tread_csv_scanner *scanner) {
    size_t kept = scanner->end - scanner->begin, got = 0;
    memmove(scanner->buffer, scanner->buffer + scanner->begin, kept);
    scanner->begin = 0;
    scanner->end = kept;
    if (scanner->reader.open)
        TREAD_TRY(tread_reader_read(&scanner->reader, scanner->buffer + kept, scanner->capacity - kept, &got));
    scanner->end += got;
    scanner->at_end = scanner->end < scanner->capacity;
    scanner->buffer[scanner->end] = '\0'; /* there is room for it */
    return TREAD_OK;
}

static tread_status check_encoding(tread_csv_scanner *scanner) {
    const uint8_t *bytes = (const uint8_t *)scanner->buffer;
    size_t n = scanner->end;
    if (n >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff)))
        return tread_fail(TREAD_ERROR_FORMAT, "%s: is in UTF-16, expected UTF-8 or another superset of ASCII",
                          scanner->name);
    if (n >= 3 && bytes[0] == 0xef && bytes[1] == 0xbb && bytes[2] == 0xbf)
        scanner->begin = 3;
    return TREAD_OK;
}

tread_status tread_csv_open(tread_csv_scanner *scanner, const char *path, const char *text, const char *name,
                            char delimiter) {
    *scanner = (tread_csv_scanner){.name = name, .delimiter = delimiter, .line = 1, .ends_record = true};
    scanner->stops['\n'] = scanner->stops['\r'] = scanner->stops['"'] = scanner->stops[0] = true;
    scanner->stops[(unsigned char)delimiter] = true;
    if (path != NULL)
        TREAD_TRY(tread_reader_open(&scanner->reader, path));
    size_t length = text != NULL ? strlen(text) : 0;
    if (length > TREAD_CSV_MAX_FIELD)
        return tread_fail(TREAD_ERROR_ARGUMENT, "%s: %zu bytes are too long", name, length);
    bool plain = path != NULL && !scanner->reader.gzip; /* the whole may be smaller than the buffer, and known */
    uint64_t whole = plain ? tread_reader_limit(&scanner->reader) : text != NULL ? length : UINT64_MAX;
    scanner->capacity = whole < BUFFER_BYTES ? (size_t)whole + 1 : BUFFER_BYTES;
    scanner->buffer = tread_alloc(scanner->capacity + 1, "buffer of a CSV file");
    if (scanner->buffer == NULL)
        return TREAD_ERROR_MEMORY;
    if (text != NULL)
        memcpy(scanner->buffer, text, length);
    scanner->end = length;
    TREAD_TRY(fill(scanner));
    return path != NULL ? check_encoding(scanner) : TREAD_OK;
}

void tread_csv_close(tread_csv_scanner *scanner) {
    tread_reader_close(&scanner->reader);
    tread_free(scanner->buffer);
    scanner->buffer = NULL;
}

tread_status tread_csv_field_fails(const tread_csv_scanner *scanner, const char *format, const char *more) {
    char shown[TEXT_SHOWN + 4];
    size_t length = scanner->length < TEXT_SHOWN ? scanner->length : TEXT_SHOWN;
    for (size_t i = 0; i < length; i++)
        shown[i] = (unsigned char)scanner->text[i] < ' ' || scanner->text[i] == 0x7f ? '?' : scanner->text[i];
    strcpy(shown + length, scanner->length > TEXT_SHOWN ? "..." : "");
    char rest[1024];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(rest, sizeof rest, format, shown, more);
#pragma GCC diagnostic pop
    return tread_fail(TREAD_ERROR_FORMAT, "%s:%lld: column %lld: %s", scanner->name, (long long)scanner->field_line,
                      (long long)scanner->column, rest);
}

static tread_status too_long(const tread_csv_scanner *scanner) {
    return tread_csv_field_fails(scanner, "\"%s\": a field of more than a million bytes", NULL);
}

/* Whether byte i behind begin is there, with more read where need be. */
static tread_status reach(tread_csv_scanner *scanner, size_t i, bool *ret_there) {
    if (scanner->begin + i >= scanner->end && !scanner->at_end) {
        if (i > TREAD_CSV_MAX_FIELD + 2) {
            scanner->text = scanner->buffer + scanner->begin;
            scanner->length = i;
            return too_long(scanner);
        }
        TREAD_TRY(fill(scanner));
    }
    *ret_there = scanner->begin + i < scanner->end;
    return TREAD_OK;
}

/* The field takes i bytes of the file, and its text begins at byte `offset` of them. Takes what stands behind it too,
 * for which the buffer may have to move. */
static tread_status take_end(tread_csv_scanner *scanner, size_t i, size_t offset) {
    bool there = false;
    TREAD_TRY(reach(scanner, i, &there));
    scanner->ends_record = true;
    if (there) {
        char c = scanner->buffer[scanner->begin + i];
        scanner->ends_record = c != scanner->delimiter;
        scanner->line += c == '\n';
        i++;
        if (c == '\r') {
            TREAD_TRY(reach(scanner, i, &there));
            if (!there || scanner->buffer[scanner->begin + i] != '\n')
                return tread_csv_field_fails(scanner, "\"%s\": a carriage return without a line feed behind it", NULL);
            scanner->line++;
            i++;
        }
    }
    scanner->text = scanner->buffer + scanner->begin + offset;
    scanner->begin += i;
    return TREAD_OK;
}

static tread_status take_plain(tread_csv_scanner *scanner) {
    size_t i = 0;
    for (bool there = true;; i++) {
        const char *c = scanner->buffer + scanner->begin, *end = scanner->buffer + scanner->end;
        while (c + i < end && !scanner->stops[(unsigned char)c[i]])
            i++;
        TREAD_TRY(reach(scanner, i, &there));
        scanner->text = scanner->buffer + scanner->begin;
        scanner->length = i;
        if (!there || scanner->text[i] == scanner->delimiter || scanner->text[i] == '\n' || scanner->text[i] == '\r')
            return take_end(scanner, i, 0);
        if (scanner->stops[(unsigned char)scanner->text[i]])
            return tread_csv_field_fails(scanner,
                                         scanner->text[i] == '"'
                                             ? "\"%s\": a quote within a field that does not begin with one"
                                             : "\"%s\": a zero byte, which no text has",
                                         NULL);
    }
}

/* The text is moved together where doubled quotes become one. */
static tread_status take_quoted(tread_csv_scanner *scanner) {
    size_t i = 1, length = 0;
    bool there;
    for (;; i++) {
        TREAD_TRY(reach(scanner, i, &there));
        scanner->text = scanner->buffer + scanner->begin + 1;
        scanner->length = length;
        if (!there)
            return tread_csv_field_fails(scanner, "\"%s\": the quote that begins here is not closed", NULL);
        char c = scanner->buffer[scanner->begin + i];
        if (c == '\0')
            return tread_csv_field_fails(scanner, "\"%s\": a zero byte, which no text has", NULL);
        if (c == '"') {
            TREAD_TRY(reach(scanner, ++i, &there));
            if (!there || scanner->buffer[scanner->begin + i] != '"')
                break;
        }
        scanner->line += c == '\n';
        scanner->buffer[scanner->begin + 1 + length++] = c;
    }
    scanner->text = scanner->buffer + scanner->begin + 1;
    char after = there ? scanner->buffer[scanner->begin + i] : '\n';
    if (after != scanner->delimiter && after != '\n' && after != '\r')
        return tread_csv_field_fails(scanner, "\"%s\": text behind the closing quote", NULL);
    scanner->quoted = true;
    return take_end(scanner, i, 1);
}

tread_status tread_csv_next(tread_csv_scanner *scanner, bool *ret_more) {
    bool there, begins = scanner->ends_record;
    scanner->field_line = scanner->line;
    scanner->column = begins ? 1 : scanner->column + 1;
    scanner->quoted = scanner->blank = false;
    TREAD_TRY(reach(scanner, 0, &there));
    *ret_more = there || !begins; /* a delimiter at the very end has an empty field behind it */
    if (!*ret_more)
        return TREAD_OK;
    TREAD_TRY(there && scanner->buffer[scanner->begin] == '"' ? take_quoted(scanner) : take_plain(scanner));
    if (scanner->length > TREAD_CSV_MAX_FIELD)
        return too_long(scanner);
    scanner->blank = begins && scanner->ends_record && scanner->length == 0 && !scanner->quoted;
    return TREAD_OK;
}
