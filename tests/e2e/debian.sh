#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What people do in a Debian container, as one script. What it prints holds no times, pids or inode
# numbers: runc and nacre must print the same and end with the same status.
export LC_ALL=C TZ=UTC
n=0
step() { n=$((n + 1)); echo "== $n $*"; }
work=$(mktemp -d) && cd "$work" || exit 1

step pipelines
seq 1 100 | grep 7 | sort -rn | head -5
printf '%s\n' pear apple fig apple | sort | uniq -c | awk '{ print $2 "=" $1 }'
yes | head -1000 | wc -l
cut -d. -f1 </etc/debian_version

step here-documents
cat <<TEXT
two plus two is $((2 + 2))
home is $(basename /root)
TEXT
cat <<'TEXT'
nothing $expands here
TEXT

step redirection
echo out >f; echo more >>f; cat <f; echo err 2>err >&2; wc -c <err
{ echo a; echo b >&2; } >both 2>&1; sort both
exec 7>seven; echo through seven >&7; exec 7>&-; cat seven
ls /does/not/exist 2>/dev/null; echo "status $?"

step job control with wait
sh -c 'exit 3' & first=$!
sh -c 'exit 4' & second=$!
wait $first; echo $?
wait $second; echo $?
for i in 1 2 3 4 5; do (sleep 0.0$i; echo "done $i" >"job$i") & done
wait; cat job?

step traps
sh -c 'trap "echo caught USR1" USR1; kill -USR1 $$; sleep 0.1; echo after'
(trap 'echo leaving $?' EXIT; exit 9); echo "status $?"
sh -c 'trap "" TERM; kill -TERM $$; echo ignored; trap - TERM; kill -TERM $$; echo never'; echo "status $?"

step subshells
x=outer; (x=inner; echo $x); echo $x
(cd /; pwd); [ "$PWD" = "$work" ] && echo same directory
{ y=group; }; echo $y

step command substitution
echo "$(echo nested $(echo deep $(echo deeper)))"
set -- $(echo one two three); echo $# "$3"
seq 10000 | wc -c

step arithmetic and strings
echo $((7 * 6)) $((1 << 20)) $((17 % 5)); s=hello.tar.gz
echo ${s%.gz} ${s%%.*} ${s#*.} ${#s}
case $s in *.tar.*) echo tarball ;; esac

step functions and loops
fact() { if [ "$1" -le 1 ]; then echo 1; else echo $(($1 * $(fact $(($1 - 1))))); fi; }
fact 10
i=0; while [ $i -lt 5 ]; do i=$((i + 1)); [ $i = 3 ] && continue; printf '%s ' $i; done; echo
for w in a b c; do for v in 1 2; do printf '%s%s ' $w $v; done; done; echo

step find and xargs
mkdir -p tree/a/b tree/c; touch tree/1.txt tree/a/2.txt tree/a/b/3.log tree/c/4.txt
find tree -name '*.txt' | sort
find tree -type f -print0 | sort -z | xargs -0 -n2 echo
find tree -type d -exec basename {} \; | sort
find tree -name '*.log' -delete; find tree | wc -l

step sort
printf '10\n9\n2\n33\n' | sort -n | tr '\n' ' '; echo
printf 'b 2\na 3\nc 1\n' | sort -k2
seq 50000 | sort -R | sort -n | sha256sum

step sed
printf 'one\ntwo\nthree\n' | sed -e 's/o/0/g' -e '2d'
printf 'a:b:c\n' | sed 's/\(.\):\(.\)/\2:\1/'
printf 'x\ny\n' >ed; sed -i 's/x/z/' ed; cat ed

step awk
seq 10 | awk '{ s += $1 } END { print s, NR }'
printf 'a 1\nb 2\na 3\n' | awk '{ t[$1] += $2 } END { print t["a"], t["b"] }'
awk 'BEGIN { printf "%.3f %s\n", 22 / 7, toupper("word") }'

step tar and gzip
tar cf t.tar tree && tar tf t.tar | sort
tar czf t.tgz tree && mkdir x && tar xzf t.tgz -C x && diff -r tree x/tree && echo identical
seq 1 20000 >numbers; gzip -k numbers; gunzip -t numbers.gz && echo good
gzip -dc numbers.gz | cmp - numbers && echo same

step dd
dd if=/dev/zero of=zeros bs=4096 count=100 2>/dev/null; wc -c <zeros
printf 'abcdefgh' | dd bs=2 skip=1 count=2 2>/dev/null; echo
dd if=numbers bs=1 skip=10 count=20 2>/dev/null | od -An -c | head -3

step named pipes
mkfifo pipe; (echo through the pipe >pipe) & cat pipe; wait
(seq 1000 >pipe) & awk '{ s += $1 } END { print s }' pipe; wait

step links
echo content >target; ln target hard; ln -s target soft; ln -s nowhere broken
cat hard soft; readlink soft; [ -L broken ] && [ ! -e broken ] && echo broken
rm target; cat hard; cat soft 2>/dev/null || echo dangling
ln -sfn other soft; readlink soft; realpath -m soft/../x | sed "s|$work|WORK|"

step permissions
touch perm; chmod 640 perm; stat -c %a perm; chmod u+s,g-r perm; stat -c %A perm
chown 1234:5678 perm; stat -c '%u %g' perm; umask 077; touch private; stat -c %a private; umask 022
install -m 751 -d made; stat -c %a made; cp -p perm copy; stat -c '%a %u' copy

step stat and touch
touch -d '2020-02-02 02:02:02' dated; stat -c %y dated; stat -c '%s %h %F' dated
[ numbers -nt dated ] && echo newer; test -s dated || echo empty
truncate -s 1M sparse; stat -c %s sparse; du -k --apparent-size sparse | cut -f1

step date
date -d @0 '+%Y-%m-%d %H:%M:%S'; date -d '2024-02-28 +1 day' +%F; date +%Y | grep -c '^20'

step kill and signals
sleep 100 & kill $!; wait $! 2>/dev/null; echo $?
sleep 100 & kill -9 $!; wait $! 2>/dev/null; echo $?
sh -c 'kill -INT $$'; echo $?; sh -c 'kill -SEGV $$' 2>/dev/null; echo $?
kill -l 15; kill -0 $$ && echo alive; kill -0 99999 2>/dev/null || echo nobody

step timeout and nice
timeout 0.1 sleep 10; echo $?
timeout -s KILL 0.1 sleep 10; echo $?
timeout 100 true; echo $?
nice -n 5 nice; nice

step env
env -i A=1 B='two words' sh -c 'echo $A; echo "$B"'; FOO=bar sh -c 'echo $FOO'
export E=exported; sh -c 'echo $E'; unset E; echo "${E-unset}" ${E:-default}
env | grep -c '^PATH='

step mktemp
f=$(mktemp); d=$(mktemp -d); [ -f "$f" ] && [ -d "$d" ] && stat -c %a "$f" "$d"; rm -r "$f" "$d"

step proc
[ -d /proc/$$ ] && echo self; tr '\0' ' ' </proc/self/cmdline; echo
awk '/^Uid/ { print $2 }' /proc/self/status; readlink /proc/self/exe; cat /proc/sys/kernel/ostype
ls /proc/self/fd | wc -l; grep -c '^processor' /proc/cpuinfo | grep -c '^[1-9]'
awk '$2 == "/proc" { print $3 }' /proc/mounts; cat /proc/1/comm >/dev/null && echo init

step devices
head -c 5 /dev/zero | od -An -tx1; echo gone >/dev/null; echo x 2>/dev/null >/dev/full || echo full
head -c 16 /dev/urandom | wc -c; [ -c /dev/tty ] && echo tty; ls /dev/fd/0 >/dev/null && echo fd
test -t 0 || echo no terminal

step users
id -u; whoami; id -un 0; groups | tr ' ' '\n' | head -1; getent passwd root | cut -d: -f6
setpriv --reuid=1 --regid=1 --clear-groups sh -c 'id -un; touch /root/x 2>/dev/null || echo refused'

step text tools
printf 'a,b,c\n' | cut -d, -f2; printf 'hello\n' | tr a-z A-Z; printf '1\n2\n' | paste -sd+
printf 'x\ty\n' | expand -t4; seq 5 | tac | tr '\n' ' '; echo; seq 6 | split -l2 - part; ls part* | tr '\n' ' '; echo
seq 3 >l; seq 2 4 >r; comm -12 l r | tr '\n' ' '; join l r | tr '\n' ' '; diff l r; echo $?
seq 20 | shuf | wc -l; nl -ba l | head -1; fold -w2 <l | head -1; printf '%05d|%-5s|%x\n' 42 ab 255

step checksums
printf nacre | md5sum; printf nacre | sha1sum; printf nacre | sha256sum; printf nacre | cksum; printf nacre | base64

step directories
mkdir -p deep/er/est; cd deep/er/est || exit; pwd | sed "s|$work|WORK|"; cd ../..; rmdir er/est er && ls -A | wc -l; cd ..
cp -r tree copied; diff -rq tree copied && echo copied; mv copied moved; ls moved | tr '\n' ' '; echo
rm -rf moved; ls -d moved 2>/dev/null || echo removed

step deep paths
p=.; i=0; while [ $i -lt 60 ]; do p=$p/directory_$i; i=$((i + 1)); done
mkdir -p "$p"; echo far >"$p/f"; cat "$p/f"; find directory_0 -type d | wc -l; rm -r directory_0

step many files
mkdir many; i=0; while [ $i -lt 2000 ]; do : >many/$i; i=$((i + 1)); done
ls many | wc -l; rm many/*7*; ls many | wc -l; rm -r many

step one hundred processes
i=0; while [ $i -lt 100 ]; do (echo $i; sleep 0.2) >proc.$i & i=$((i + 1)); done
wait; cat proc.* | sort -n | tail -1; ls proc.* | wc -l

step a chain of processes
echo start | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat; sh -c 'sh -c "sh -c \"echo nested\""'

step exit statuses
true; echo $?; false; echo $?; (exit 42); echo $?; sh -c nosuchcommand 2>/dev/null; echo $?; /etc/passwd 2>/dev/null; echo $?
! true; echo $?; true && false || echo or; sh -ec 'false; echo never'; echo $?

step read
printf 'first second third\n' | { read -r a b; echo "$b"; }
while IFS=: read -r user _ uid _; do [ "$uid" = 0 ] && echo "$user"; done </etc/passwd
printf 'no newline' | { read -r x || echo "eof $x"; }

step perl
perl -e 'print join(",", map { $_ * 2 } 1 .. 5), "\n"; printf "%s\n", ucfirst lc "PERL"'
perl -e '$| = 1; if (my $p = fork) { waitpid $p, 0; print "parent ", $? >> 8, "\n" } else { print "child\n"; exit 6 }'
perl -e '$SIG{ALRM} = sub { print "alarm\n" }; alarm 1; select undef, undef, undef, 3; print "woken\n"'

step bash
bash -c 'a=(1 2 3); echo ${#a[@]} ${a[1]}; declare -A m; m[k]=v; echo ${m[k]}; echo {1..5}; [[ abc =~ b ]] && echo match'
bash -c 'set -o pipefail; false | true; echo $?; diff <(seq 3) <(seq 3) && echo equal'
bash -c 'coproc cat; echo hi >&${COPROC[1]}; read -r l <&${COPROC[0]}; echo $l'
bash -c 'sleep 100 & jobs | wc -l; kill %1; wait %1; echo $?' 2>/dev/null
bash -c 'ulimit -n 64; ulimit -n; ulimit -c'

step dpkg
dpkg --print-architecture; dpkg -s libc6 | grep -c '^Status: install ok'; dpkg -L coreutils | grep -c '^/bin/ls$'

step a large file
dd if=/dev/zero bs=1M count=200 2>/dev/null | tr '\0' 'n' >large; stat -c %s large; sha256sum <large; rm large

step locks
(flock -n 9 && echo locked; flock -n 8 || echo busy) 9>lock 8>lock

step sleep and time
sleep 0.05 && echo slept; start=$(date +%s%N); sleep 0.3; end=$(date +%s%N)
[ $((end - start)) -ge 300000000 ] && echo long enough

step background output
(for i in 1 2 3; do echo "bg $i"; done) & wait; nohup sh -c 'echo nohup' 2>/dev/null; setsid --wait sh -c 'echo session'

step memory
awk 'BEGIN { for (i = 0; i < 300000; i++) a[i] = i; s = 0; for (i in a) s += a[i]; print s }'
head -c 30000000 /dev/zero | tail -c 1 | od -An -tx1; head -c 100000 /dev/zero | tr '\0' y | wc -c

cd / && rm -rf "$work" && echo "steps $n"
exit 23
