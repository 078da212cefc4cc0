/* SPDX-License-Identifier: MIT */
/*
 * query: see query.h.  A lease holds the client while it is asked; what it
 * answers may be of any shape, and what is missing is left out.
 */
#include "query.h"

#include "documents.h"
#include "service.h"
#include "uri.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_LIMIT (4 * 1024 * 1024)

/* ---------------------------------------------------------------- the file */

struct file {
	char uri[URI_SIZE];
	const char *language;
	char *text;
	size_t length;
};

static const char *language_of(const char *path)
{
	static const char *const plus[] = { ".cc", ".cpp", ".cxx", ".hh",
					    ".hpp", ".hxx", ".C" };
	const char *dot = strrchr(path, '.');
	size_t i;

	for (i = 0; dot && i < sizeof(plus) / sizeof(*plus); i++)
		if (strcmp(dot, plus[i]) == 0)
			return "cpp";
	return "c";
}

static int read_all(int fd, struct file *file)
{
	size_t room = FILE_LIMIT + 1;
	ssize_t count = 1;

	file->text = malloc(room);
	if (!file->text)
		return -ENOMEM;
	while (count && file->length < room) {
		count = read(fd, file->text + file->length,
			     room - file->length);
		if (count < 0 && errno != EINTR)
			return -errno;
		file->length += count > 0 ? (size_t)count : 0;
	}
	return file->length == room ? -EFBIG : 0;
}

/* O_NONBLOCK: to open a pipe must not wait for somebody to write. */
static int read_file(struct file *file, const char *path)
{
	int fd, rc = uri_of_path(file->uri, path);
	struct stat stat;

	file->text = NULL;
	file->length = 0;
	file->language = language_of(path);
	if (rc)
		return rc;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &stat))
		rc = -errno;
	else if (S_ISDIR(stat.st_mode))
		rc = -EISDIR;
	else
		rc = read_all(fd, file);
	close(fd);
	return rc;
}

/* -------------------------------------------------------------- the answer */

static const char *kind_name(json_int_t kind)
{
	static const char *const names[] = {
		"symbol", "file", "module", "namespace", "package", "class",
		"method", "property", "field", "constructor", "enum",
		"interface", "function", "variable", "constant", "string",
		"number", "boolean", "array", "object", "key", "null",
		"enumerator", "struct", "event", "operator", "type",
	};

	return names[kind > 0 && kind < 27 ? kind : 0];
}

/* A server's text on a line of ours. */
static void put_plain(FILE *to, const char *text)
{
	for (; text && *text; text++)
		putc((unsigned char)*text < ' ' ? '?' : *text, to);
}

static json_t *range_of(json_t *symbol)
{
	json_t *range = json_object_get(symbol, "selectionRange");

	if (!range)
		range = json_object_get(json_object_get(symbol, "location"),
					"range");
	return json_object_get(range, "start");
}

static json_int_t number(json_t *object, const char *name)
{
	return json_integer_value(json_object_get(object, name));
}

/* Lines and columns count from one here, and from zero there. */
static void put_symbol(FILE *to, json_t *symbol, int depth)
{
	json_t *start = range_of(symbol);
	const char *detail = json_string_value(json_object_get(symbol,
							       "detail"));

	fprintf(to, "  %*s%lld:%lld %s ", 2 * depth, "",
		(long long)number(start, "line") + 1,
		(long long)number(start, "character") + 1,
		kind_name(number(symbol, "kind")));
	put_plain(to, json_string_value(json_object_get(symbol, "name")));
	if (detail && *detail) {
		fputs(" : ", to);
		put_plain(to, detail);
	}
	putc('\n', to);
}

static int put_symbols(FILE *to, json_t *symbols, int depth)
{
	json_t *symbol;
	int count = 0;
	size_t i;

	json_array_foreach(symbols, i, symbol) {
		put_symbol(to, symbol, depth);
		count += 1 + put_symbols(to, json_object_get(symbol,
					 "children"), depth + 1);
	}
	return count;
}

/* --------------------------------------------------------------- to ask it */

static int ask(struct lsp *lsp, const struct file *file, int64_t deadline,
	       FILE *to, char why[QUERY_WHY])
{
	json_t *symbols = NULL;
	int rc = documents_open(service_of(lsp)->documents, lsp, file->uri,
				file->language, file->text, file->length);

	if (rc)
		return rc;
	rc = lsp_call(lsp, "textDocument/documentSymbol",
		      json_pack("{s:{s:s}}", "textDocument", "uri", file->uri),
		      deadline, &symbols, why);
	if (rc)
		return rc;
	rc = json_is_array(symbols) || json_is_null(symbols) ?
	     put_symbols(to, symbols, 0) : -EPROTO;
	json_decref(symbols);
	return rc;
}

/*
 * Tell the registry of a client that we have seen break, once its process is
 * gone: then the next lease is on another client.
 */
static int is_gone(struct fh_servers *servers, const char *name,
		   const struct fh_server_lease *lease, int64_t deadline)
{
	struct lsp *lsp = fh_lease_client(lease);
	char why[LSP_WHY];

	if (!lsp_why(lsp, why) || lsp_wait(lsp, deadline))
		return 0;
	fh_server_crashed(servers, name, fh_lease_generation(lease), 0, NULL,
			  NULL);
	return 1;
}

/* What the registry knows of a server that it gives no lease on. */
static int no_lease(int rc, const struct fh_server_info *info,
		    char why[QUERY_WHY])
{
	if (rc == -EHOSTDOWN && info->error)
		snprintf(why, QUERY_WHY, "%s", info->text);
	return rc;
}

static int try(struct fh_servers *servers, const char *name,
	       const struct file *file, int64_t deadline, FILE *to, int *again,
	       char why[QUERY_WHY])
{
	struct fh_server_lease *lease;
	struct fh_server_info info;
	int rc = fh_server_get_wait(servers, name, deadline, &lease, &info);

	if (rc)
		return no_lease(rc, &info, why);
	rc = ask(fh_lease_client(lease), file, deadline, to, why);
	*again = rc < 0 && is_gone(servers, name, lease, deadline);
	fh_lease_return(lease);
	return rc;
}

int query_symbols(struct fh_servers *servers, const char *name,
		  const char *path, int64_t deadline, FILE *to,
		  char why[QUERY_WHY])
{
	struct file file;
	int rc = read_file(&file, path), again = 0;

	why[0] = 0;
	if (!rc)
		rc = try(servers, name, &file, deadline, to, &again, why);
	if (again && fh_now() < deadline)
		rc = try(servers, name, &file, deadline, to, &again, why);
	free(file.text);
	return rc;
}

int query_close(struct fh_servers *servers, const char *name, const char *path,
		int64_t deadline)
{
	struct fh_server_lease *lease;
	char uri[URI_SIZE];
	struct lsp *lsp;
	int rc = uri_of_path(uri, path);

	if (!rc)
		rc = fh_server_get_wait(servers, name, deadline, &lease, NULL);
	if (rc)
		return rc;
	lsp = fh_lease_client(lease);
	rc = documents_close(service_of(lsp)->documents, lsp, uri);
	fh_lease_return(lease);
	return rc == -ENOENT ? -ENODATA : rc;
}
