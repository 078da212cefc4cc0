/* SPDX-License-Identifier: MIT */
/*
 * documents: a table by URI; each entry is constant and replaced whole.
 *
 * A restart reopens what the table holds while others may already open and
 * close.  Two rules keep table and server in step:
 *
 *  1. Whoever opens or closes changes the table first, the server second.
 *  2. Reopening gives way: it does nothing to a document that is open in the
 *     client already, and it closes again what has left the table meanwhile.
 */
#include "documents.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct kept {
	struct fh_map_entry entry;
	struct fh_rcu_head rcu;
	struct kept *next;	/* in the copy of a walk */
	size_t length;
	char *uri, *language, *text; /* behind this */
	char bytes[];
};

static struct kept *kept_of(struct fh_map_entry *entry)
{
	return (struct kept *)entry;
}

static void kept_free(struct fh_rcu_head *head)
{
	free((char *)head - offsetof(struct kept, rcu));
}

static struct kept *kept_new(const char *uri, const char *language,
			     const char *text, size_t length)
{
	size_t uri_size = strlen(uri) + 1, language_size = strlen(language) + 1;
	struct kept *kept = calloc(1, sizeof(*kept) + uri_size +
				   language_size + length);

	if (!kept)
		return NULL;
	kept->uri = memcpy(kept->bytes, uri, uri_size);
	kept->language = memcpy(kept->uri + uri_size, language, language_size);
	kept->text = memcpy(kept->language + language_size, text, length);
	kept->length = length;
	kept->entry.key = fh_key_string(kept->uri);
	return kept;
}

int documents_create(struct fh_map **documents)
{
	return fh_map_create(documents, &(struct fh_map_options){
			     .keys = FH_KEYS_BYTES });
}

static void release(struct fh_map_entry *entry, void *arg)
{
	(void)arg;
	free(kept_of(entry));
}

void documents_destroy(struct fh_map *documents)
{
	fh_map_destroy(documents, release, NULL);
}

int documents_open(struct fh_map *documents, struct lsp *lsp, const char *uri,
		   const char *language, const char *text, size_t length)
{
	struct kept *kept = kept_new(uri, language, text, length);
	struct fh_map_entry *old;
	int rc = kept ? fh_map_put(documents, &kept->entry, &old) : -ENOMEM;

	if (rc) {
		free(kept);
		return rc;
	}
	if (old)
		fh_rcu_retire(&kept_of(old)->rcu, kept_free);
	rc = lsp_open(lsp, uri, language, text, length);
	if (rc)
		documents_close(documents, lsp, uri);
	return rc;
}

int documents_close(struct fh_map *documents, struct lsp *lsp, const char *uri)
{
	struct fh_map_entry *old;
	int rc = fh_map_remove(documents, fh_key_string(uri), &old);

	if (rc)
		return rc;
	fh_rcu_retire(&kept_of(old)->rcu, kept_free);
	return lsp_close(lsp, uri);
}

static int copy(struct fh_map_entry *entry, void *arg)
{
	const struct kept *kept = kept_of(entry);
	struct kept *mine = kept_new(kept->uri, kept->language, kept->text,
				     kept->length), **first = arg;

	if (!mine)
		return -ENOMEM;
	mine->next = *first;
	*first = mine;
	return 0;
}

static int is_there(struct fh_map *documents, const char *uri)
{
	struct fh_map_entry *entry;

	fh_rcu_read_lock();
	entry = fh_map_lookup(documents, fh_key_string(uri));
	fh_rcu_read_unlock();
	return entry != NULL;
}

/* Copies, because a walk must not block and a letter might. */
void documents_reopen(struct fh_map *documents, struct lsp *lsp)
{
	struct fh_map_cursor cursor = { 0 };
	struct kept *kept, *first = NULL;

	fh_map_walk(documents, &cursor, 0, copy, &first);
	while ((kept = first)) {
		first = kept->next;
		lsp_reopen(lsp, kept->uri, kept->language, kept->text,
			   kept->length);
		if (!is_there(documents, kept->uri))
			lsp_close(lsp, kept->uri);
		free(kept);
	}
}
