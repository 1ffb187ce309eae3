"""Runs a command on the phone with paramiko. Arguments: the user and the command."""

import sys

import paramiko

from usbmux import Client

user, command = sys.argv[1:]
with Client().connect(None, 22) as sock, paramiko.SSHClient() as connection:
    connection.load_system_host_keys()
    connection.connect("iphone", username=user, sock=sock)
    _, output, _ = connection.exec_command(command)
    print(output.read().decode(), end="")
