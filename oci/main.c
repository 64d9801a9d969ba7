/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "oci/cli.h"

int main(int argc, char **argv)
{
	/* Descriptors we open must not become somebody's standard input or output. */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			return 1;
	return cli_main(argc, argv);
}
