#!/bin/bash
# Runs in the guest, as a unit of its systemd, beside the installed package. Each line that it writes is a result.
set -u

results=/dev/ttyS1
unit=stockade
group=/sys/fs/cgroup/stockade-test-hog-$$

say() {
    printf '%s\n' "$*" >$results
}

# case_ NAME COMMAND…: a case holds when its command does; what it said is shown when it does not.
case_() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        say "ok $name"
    else
        say "failed $name: $(tail -n 5 <<<"$said" | tr '\n' '|') $(journalctl -o cat -n 5 -u $unit | tr '\n' '|')"
    fi
}

# within SECONDS COMMAND…: waits until the command holds.
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ $SECONDS -ge $end ]; then
            echo "in vain: $*"
            "$@"
            return 1
        fi
        sleep 0.2
    done
}

property() {
    systemctl show --value -p "$1" $unit
}

is() {
    [ "$(property "$1")" = "$2" ] || {
        echo "$1 is '$(property "$1")' and should be '$2'"
        return 1
    }
}

logged() {
    journalctl -o cat -u $unit | grep -qF -- "$1"
}

get() {
    exec 3<>/dev/tcp/127.0.0.1/19306 && printf 'GET %s HTTP/1.0\r\n\r\n' "$1" >&3 && cat <&3
    exec 3>&-
}

exported() {
    local text
    text=$(get /metrics)
    grep -qE -- "$1" <<<"$text" || {
        echo "no series like $1"
        return 1
    }
}

# The sets of the running program, as capsh writes them: bit masks in hexadecimal.
capabilities() {
    local status=/proc/$(property MainPID)/status
    [ "$(awk '$1 == "CapBnd:" { print $2 }' "$status")" = "$1" ] &&
        [ "$(awk '$1 == "CapEff:" { print $2 }' "$status")" = "$1" ] || {
        grep ^Cap "$status"
        return 1
    }
}

frozen() {
    grep -q "frozen $1" "$group/cgroup.events"
}

limit() {
    [ "$(cat "$group/pids.max")" = "$1" ]
}

configure() {
    cat >/etc/stockade/stockade.yaml <<EOF
collect: {interval: 500ms}
safety: {mode: $1, scope: ["/stockade-test-hog-*"], freeze_max: 10m, kill_budget: {target: {max: 9, per: 1m}, host: {max: 9, per: 1m}}}
limits: [{name: cap, match: {path: "/stockade-test-hog-*"}, set: {pids.max: 77}}]
policies:
  - name: hog
    match: {path: "/stockade-test-hog-*"}
    when: {signal: age, above: 0s}
    steps: [{freeze: {ttl: 10m}, relieved_within: 1h}]
  - name: pressure
    match: {path: "/stockade-test-hog-*"}
    when: {signal: cpu.pressure.some.avg10, above: 99%, for: 1h}
    steps: [notify: {}]
EOF
}

# Somebody else's group, and a process of theirs in it.
hog() {
    mkdir "$group" && chown -R 65534 "$group" && chmod 0755 "$group"
    chmod go-rwx "$group"/pids.max "$group"/cgroup.freeze
    setpriv --reuid 65534 --clear-groups sleep 1000 &
    echo $! >"$group/cgroup.procs"
}

# --- the watcher: the package has enabled it ------------------------------------------------------------------------

unit=stockade-watch
case_ 'the watcher is active after a boot' within 60 is ActiveState active
case_ 'the enforcer is not enabled' eval '! systemctl is-enabled --quiet stockade'
case_ 'its status says what it does' within 20 eval '[[ $(property StatusText) == watching\ *\ cgroups\;\ nothing\ is\ enforced ]]'
case_ 'it has two capabilities' capabilities 0000000000080004
case_ 'it is not root' eval '[ "$(stat -c %u /proc/$(property MainPID))" != 0 ]'
case_ 'it cannot write to a control group' grep -q ' /sys/fs/cgroup ro,' "/proc/$(property MainPID)/mountinfo"
case_ 'it sees the cgroups' exported '^cgroup_memory_current_bytes\{cgroup="/system.slice/stockade-watch.service"\}'
case_ 'it sees the namespaces of processes of root' exported '^cgroup_namespaces\{cgroup="/init.scope"'
case_ 'it notices by inotify' exported '^stockade_watch_method\{method="inotify"\} 1'
case_ 'nothing is denied to it' eval '! exported "^stockade_read_faults_total.*permission.* [1-9]"'
mkdir -p /run/systemd/system/stockade-watch.service.d
cat >/run/systemd/system/stockade-watch.service.d/fanotify.conf <<'EOF'
[Service]
AmbientCapabilities=CAP_SYS_ADMIN
CapabilityBoundingSet=CAP_SYS_ADMIN
SystemCallFilter=fanotify_init fanotify_mark
EOF
systemctl daemon-reload
systemctl restart stockade-watch
case_ 'with the drop-in of the manual it notices by fanotify' within 20 exported '^stockade_watch_method\{method="fanotify"\} 1'
rm -r /run/systemd/system/stockade-watch.service.d
systemctl daemon-reload
sed -i 's/observe/enforce/' /etc/stockade/watch.yaml
case_ 'it does not start to enforce' eval '! systemctl restart stockade-watch'
case_ 'and says why' within 20 logged '/sys/fs/cgroup is mounted read-only: mount it read-write (a systemd unit: ProtectControlGroups=no'
sed -i 's/enforce/observe/' /etc/stockade/watch.yaml

# --- the enforcer ---------------------------------------------------------------------------------------------------

unit=stockade
hog
configure dry_run
systemctl disable --quiet --now stockade-watch
case_ 'the enforcer starts' systemctl enable --quiet --now stockade
case_ 'its status says dry_run' within 20 eval '[[ $(property StatusText) == dry_run:\ * ]]'
case_ 'it does nothing in dry_run' eval 'within 20 exported "outcome=\"dry_run\",policy=\"hog\"} [1-9]" && limit max && frozen 0'
case_ 'it has four capabilities' capabilities 0000000001080022
configure enforce
case_ 'a reload puts enforcement in force' systemctl reload stockade
case_ 'a limit of somebody else'\''s group is set' within 30 limit 77
case_ 'and the group frozen' within 30 frozen 1
case_ 'its status says how much is in force' within 20 eval '[[ $(property StatusText) == enforce:\ *\ 2\ changes\ in\ force ]]'
case_ 'the kernel wakes it for pressure' within 20 exported '^stockade_triggers_armed [1-9]'
case_ 'it sees the namespaces of other users' exported '^cgroup_namespaces\{cgroup="/stockade-test-hog-'
case_ 'a kill by hand reaches a process of another user' stockade kill "/${group##*/}" --signal TERM --grace 1s --config /etc/stockade/stockade.yaml
case_ 'it notices the end' within 20 eval '! grep -q populated\ 1 $group/cgroup.events'

echo 'safety: [' >/etc/stockade/stockade.yaml
case_ 'a reload of a wrong configuration fails' eval '! systemctl reload stockade'
case_ 'and leaves it running' is ActiveState active
case_ 'with the old one in force' limit 77
kill -KILL "$(property MainPID)"
case_ 'after a crash everything is undone, whatever the configuration has become' within 30 eval 'limit max && frozen 0'
configure enforce
systemctl reset-failed stockade
case_ 'it starts again' systemctl start stockade
case_ 'and enforces' within 30 limit 77

mkdir -p /run/systemd/system/stockade.service.d
printf '[Service]\nWatchdogSec=8s\nTimeoutAbortSec=2s\n' >/run/systemd/system/stockade.service.d/test.conf
systemctl daemon-reload
systemctl restart stockade
before=$(property NRestarts)
within 20 limit 77
sleep 10
case_ 'signs of life keep the watchdog quiet' is NRestarts "$before"
kill -STOP "$(property MainPID)"
case_ 'a program that hangs is started again' within 60 is NRestarts $((before + 1))
case_ 'and enforces again' within 30 limit 77
case_ 'the watcher and the enforcer do not run side by side' eval 'systemctl start stockade-watch && ! systemctl is-active --quiet stockade'
case_ 'what the enforcer did was undone' limit max
systemctl start stockade
within 30 limit 77
case_ 'its end undoes everything' eval 'systemctl stop stockade && limit max && is Result success'

# --- the package ----------------------------------------------------------------------------------------------------

systemctl start stockade
within 30 limit 77
case_ 'the package is removed while it runs' dpkg -r stockade
case_ 'which undoes everything' eval 'limit max && frozen 0'
case_ 'and leaves no unit' eval '! systemctl is-active --quiet stockade && ! systemctl is-active --quiet stockade-watch'
case_ 'a purge takes the state' eval 'dpkg -P stockade && ! [ -e /var/lib/stockade ] && ! [ -e /var/lib/private/stockade-watch ]'
say end
systemctl poweroff --force --force
