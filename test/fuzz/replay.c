/* SPDX-License-Identifier: MIT */
/*
 * Feeds a fuzz target each file of its corpus, so that what fuzzing has found
 * is found again without it (TAP).
 *
 *     replay_NAME [DIRECTORY]    test/fuzz/corpus/NAME
 */
#include "../tap.h"

#include <dirent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Its size; -1: there is no such file, or it is none. */
static long feed(const char *directory, const char *name)
{
	char path[8192];
	struct stat about;
	uint8_t *data;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "rb");
	if (!file || fstat(fileno(file), &about) || !S_ISREG(about.st_mode)) {
		if (file)
			fclose(file);
		return -1;
	}
	/* Of this very size, so that a sanitizer sees what lies beyond. */
	size = (size_t)about.st_size;
	data = malloc(size ? size : 1);
	size = fread(data, 1, size, file);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	return (long)size;
}

int main(int argc, char **argv)
{
	const char *name = strstr(argv[0], "replay_");
	char directory[4096];
	struct dirent *entry;
	long files = 0, bytes = 0;
	DIR *corpus;

	snprintf(directory, sizeof(directory), "test/fuzz/corpus/%s",
		 name ? name + strlen("replay_") : "");
	corpus = opendir(argc > 1 ? argv[1] : directory);
	if (!ok(corpus != NULL, "there is a corpus"))
		return done_testing();
	while ((entry = readdir(corpus))) {
		long size = feed(argc > 1 ? argv[1] : directory,
				 entry->d_name);

		files += size >= 0;
		bytes += size > 0 ? size : 0;
	}
	closedir(corpus);
	ok(files > 0, "%s: %ld files, %ld bytes", name, files, bytes);
	return done_testing();
}
