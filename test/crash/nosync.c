/* See LICENSE file for copyright and licence details. */
/*
 * Sync calls that say 0 and do nothing, for a build that must not survive the crash tests:
 * linked with -Wl,--wrap=fsync,--wrap=fdatasync.
 */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);

int
__wrap_fsync(int fd)
{
	(void)fd;
	return 0;
}

int
__wrap_fdatasync(int fd)
{
	(void)fd;
	return 0;
}
