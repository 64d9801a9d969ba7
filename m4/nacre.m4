dnl SPDX-License-Identifier: Apache-2.0

dnl NACRE_CHECK_ARCH
dnl The architecture directory (runtime/arch/$NACRE_ARCH, shim/$NACRE_ARCH), from the host type.
AC_DEFUN([NACRE_CHECK_ARCH], [
AC_MSG_CHECKING([for the guest architecture])
AS_CASE([$host_cpu],
	[x86_64|amd64], [NACRE_ARCH=x86_64],
	[aarch64|arm64], [NACRE_ARCH=arm64],
	[AC_MSG_ERROR([nacre runs on x86_64 and arm64, not on $host_cpu])])
AC_MSG_RESULT([$NACRE_ARCH])
AC_SUBST([NACRE_ARCH])
AM_CONDITIONAL([ARCH_X86_64], [test "$NACRE_ARCH" = x86_64])
AM_CONDITIONAL([ARCH_ARM64], [test "$NACRE_ARCH" = arm64])
AS_CASE([$host_os],
	[linux*], [NACRE_HOST=linux],
	[darwin*], [NACRE_HOST=darwin],
	[AC_MSG_ERROR([nacre runs on Linux and macOS, not on $host_os])])
AC_SUBST([NACRE_HOST])
AM_CONDITIONAL([HOST_LINUX], [test "$NACRE_HOST" = linux])
AM_CONDITIONAL([HOST_DARWIN], [test "$NACRE_HOST" = darwin])
])

dnl NACRE_LIBRARY(VARIABLE, PKG-CONFIG NAME, NAME FOR PEOPLE, DEBIAN PACKAGE)
dnl Sets VARIABLE_CFLAGS and VARIABLE_LIBS, or stops with one line that says what to install.
AC_DEFUN([NACRE_LIBRARY],
	[PKG_CHECK_MODULES([$1], [$2], [],
		[AC_MSG_ERROR([$3 not found: install the Debian package $4])])])

dnl NACRE_TRY_FLAG(VARIABLE, FLAG)
dnl Append FLAG to VARIABLE when the compiler and the linker take it without a warning.
AC_DEFUN([NACRE_TRY_FLAG], [
AC_MSG_CHECKING([whether $CC takes $2])
nacre_saved_cflags=$CFLAGS
CFLAGS="$CFLAGS -Werror $2"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
	[AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
CFLAGS=$nacre_saved_cflags
])

dnl NACRE_COMPILER(STANDARD)
AC_DEFUN([NACRE_COMPILER], [
AC_MSG_CHECKING([whether $CC compiles C17 with GNU extensions])
nacre_saved_cflags=$CFLAGS
CFLAGS="$CFLAGS -std=$1"
AC_COMPILE_IFELSE([AC_LANG_PROGRAM(
	[[#include <stdatomic.h>
	  static _Thread_local atomic_int n;]],
	[[_Static_assert(__STDC_VERSION__ >= 201710L, "C17");
	  return ({ n++; (int)n; });]])],
	[AC_MSG_RESULT([yes])],
	[AC_MSG_RESULT([no])
	 AC_MSG_ERROR([$CC is too old: install the Debian package gcc (12) or clang (14)])])
CFLAGS=$nacre_saved_cflags
NACRE_CFLAGS="-std=$1 -Wall -Wextra -fno-strict-aliasing -fno-common"
NACRE_LDFLAGS=
AC_SUBST([NACRE_CFLAGS])
AC_SUBST([NACRE_LDFLAGS])
])

dnl NACRE_OPTIONS
dnl --enable-werror, --enable-debug, --enable-sanitizers, and hardening where nothing instruments.
AC_DEFUN([NACRE_OPTIONS], [
dnl The GNU extension that system interfaces with trailing arrays need on the stack (struct kvm_msrs).
NACRE_TRY_FLAG([NACRE_CFLAGS], [-Wno-gnu-variable-sized-type-not-at-end])
AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [make compiler warnings errors])])
AS_IF([test "x$enable_werror" = xyes], [NACRE_CFLAGS="$NACRE_CFLAGS -Werror"])

AC_ARG_ENABLE([debug],
	[AS_HELP_STRING([--enable-debug], [check the lock order at run time (slow)])])
AC_SUBST([NACRE_DEFINES])
AM_CONDITIONAL([DEBUG], [test "x$enable_debug" = xyes])

AC_ARG_ENABLE([sanitizers],
	[AS_HELP_STRING([--enable-sanitizers=LIST],
		[instrument with the compiler's sanitizers: address,undefined or thread])],
	[], [enable_sanitizers=no])
AS_CASE([$enable_sanitizers],
	[no], [AS_CASE([" $CFLAGS $CPPFLAGS "], [*" -O0"*|*_FORTIFY_SOURCE*], [],
			[*" -O"*], [NACRE_DEFINES="$NACRE_DEFINES -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
		NACRE_TRY_FLAG([NACRE_CFLAGS], [-fstack-protector-strong])
		NACRE_TRY_FLAG([NACRE_LDFLAGS], [-Wl,-z,relro,-z,now])],
	[yes], [AC_MSG_ERROR([--enable-sanitizers wants a list, such as address,undefined])],
	[nacre_sanitize="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
		AS_CASE([,$enable_sanitizers,], [*,undefined,*],
			[nacre_sanitize="$nacre_sanitize -fno-sanitize-recover=undefined"])
		nacre_before=$NACRE_CFLAGS
		NACRE_TRY_FLAG([NACRE_CFLAGS], [$nacre_sanitize])
		AS_IF([test "$NACRE_CFLAGS" = "$nacre_before"],
			[AC_MSG_ERROR([$CC cannot link with -fsanitize=$enable_sanitizers])])
		NACRE_LDFLAGS="$NACRE_LDFLAGS -fsanitize=$enable_sanitizers"
		dnl The clock page is written under fences, which the thread sanitizer does not follow.
		AS_CASE([,$enable_sanitizers,], [*,thread,*], [NACRE_TRY_FLAG([NACRE_CFLAGS], [-Wno-tsan])])])
AM_CONDITIONAL([SANITIZED], [test "x$enable_sanitizers" != xno])
])
