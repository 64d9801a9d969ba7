#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The part of systemd's manager that a container's scope needs, on the bus of
DBUS_SYSTEM_BUS_ADDRESS: makes the groups and moves the processes as systemd does, and writes every call
as one JSON line to the file given.

A unit whose name has "leftover" in it is there already until it is reset; the job of one with "failing"
fails."""
import glob
import json
import os
import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

NAME = "org.freedesktop.systemd1"
MANAGER = NAME + ".Manager"


class Error(dbus.DBusException):
    def __init__(self, name):
        super().__init__(name + " says the mock", name=NAME + "." + name)


def hierarchy():
    """The one that systemd keeps its units in."""
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        if "name=systemd" in fields[-1]:
            return fields[4]
    return "/sys/fs/cgroup"


def expand(slice_name):
    """a-b.slice lies in a.slice."""
    parts = slice_name[: -len(".slice")].split("-")
    return "/".join("-".join(parts[: i + 1]) + ".slice" for i in range(len(parts)))


class Manager(dbus.service.Object):
    def __init__(self, bus, log):
        super().__init__(bus, "/org/freedesktop/systemd1")
        self.log, self.jobs, self.units, self.reset = log, 0, {}, set()

    def note(self, call, **members):
        print(json.dumps({"call": call, **members}), file=self.log, flush=True)

    def job(self, unit, result="done"):
        self.jobs += 1
        path = dbus.ObjectPath("/org/freedesktop/systemd1/job/%d" % self.jobs)
        GLib.idle_add(lambda: self.JobRemoved(self.jobs, path, unit, result) and False)
        return path

    @dbus.service.signal(MANAGER, signature="uoss")
    def JobRemoved(self, number, path, unit, result):
        pass

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return {"ControlGroup": "/the/manager"}[name]

    @dbus.service.method(MANAGER, in_signature="", out_signature="")
    def Subscribe(self):
        pass

    @dbus.service.method(MANAGER, in_signature="s", out_signature="")
    def ResetFailedUnit(self, unit):
        self.note("reset", unit=unit)
        self.reset.add(unit)

    @dbus.service.method(MANAGER, in_signature="ssa(sv)a(sa(sv))", out_signature="o")
    def StartTransientUnit(self, unit, mode, properties, aux):
        plain = {k: [int(x) for x in v] if isinstance(v, dbus.Array) else
                 bool(v) if isinstance(v, dbus.Boolean) else
                 int(v) if isinstance(v, int) else str(v) for k, v in properties}
        self.note("start", unit=unit, mode=mode, properties=plain)
        if "leftover" in unit and unit not in self.reset:
            raise Error("UnitExists")
        if "failing" in unit:
            return self.job(unit, "failed")
        path = os.path.join(hierarchy(), expand(plain["Slice"]), unit)
        os.makedirs(path, exist_ok=True)
        for pid in plain["PIDs"]:
            open(path + "/cgroup.procs", "w").write(str(pid))
        self.units[unit] = path
        return self.job(unit)

    @dbus.service.method(MANAGER, in_signature="sba(sv)", out_signature="")
    def SetUnitProperties(self, unit, runtime, properties):
        self.note("set", unit=unit, runtime=bool(runtime),
                  properties={k: int(v) for k, v in properties})
        if unit not in self.units:
            raise Error("NoSuchUnit")

    @dbus.service.method(MANAGER, in_signature="ss", out_signature="o")
    def StopUnit(self, unit, mode):
        self.note("stop", unit=unit, mode=mode)
        if unit not in self.units:
            raise Error("NoSuchUnit")
        path = self.units.pop(unit)
        for below in glob.glob(path + "/*/"):
            os.rmdir(below)
        if os.path.isdir(path):
            os.rmdir(path)
        return self.job(unit)


DBusGMainLoop(set_as_default=True)
system = dbus.SystemBus()
owned = dbus.service.BusName(NAME, system)
manager = Manager(system, open(sys.argv[1], "a"))
manager.note("ready")
GLib.MainLoop().run()
