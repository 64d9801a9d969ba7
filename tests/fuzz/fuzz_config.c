/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parser of config.json against any bytes. Build with -fsanitize=fuzzer,address, or with
 * -DFUZZ_MAIN to run it over the files named on the command line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "oci/config.h"
#include "oci/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_config cfg;
	struct oci_error err = {0};

	log_mute(true);
	if (!oci_config_parse((const char *)data, size, &cfg, &err))
		oci_config_free(&cfg);
	else if (!err.msg[0])
		abort(); /* an error without a sentence */
	return 0;
}

#ifdef FUZZ_MAIN
int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];

	for (int i = 1; i < argc; i++) {
		FILE *f = fopen(argv[i], "rb");

		if (!f)
			return 1;
		LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), f));
		fclose(f);
	}
	return 0;
}
#endif
