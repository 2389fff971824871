"""Mesh files as other programs write them, built from their descriptions, and one solid to put in them."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np


def ellipsoid(n_around=9, n_up=6):
    """Points (float32-exact) and triangles of a closed ellipsoid, facing outwards."""
    up = np.linspace(0, np.pi, n_up + 1)[1:-1]
    around = np.linspace(0, 2 * np.pi, n_around, endpoint=False)
    ring = np.array([(np.sin(u) * np.cos(a), np.sin(u) * np.sin(a), np.cos(u)) for u in up for a in around])
    points = np.vstack([[[0, 0, 1]], ring, [[0, 0, -1]]]) * [31, 29, 17] + [-40.3, 55.7, -120.25]
    last = len(points) - 1
    faces = []
    for a in range(n_around):
        b = (a + 1) % n_around
        faces.append((0, 1 + a, 1 + b))
        faces.append((last, last - n_around + b, last - n_around + a))
        for k in range(n_up - 2):
            low, high = 1 + k * n_around, 1 + (k + 1) * n_around
            faces += [(low + a, high + a, high + b), (low + a, high + b, low + b)]
    return points.astype(np.float32).astype(np.float64), np.array(faces)


def signed_volume(points, triangles):
    """Volume of a closed mesh, positive where it faces outwards."""
    a, b, c = (points[triangles[:, n]] for n in range(3))
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def stl_binary(points, triangles, header=b"3D Slicer output. SPACE=LPS"):
    facets = b"".join(
        struct.pack("<12fH", 0, 0, 0, *points[t].ravel(), 0) for t in np.asarray(triangles, dtype=int)
    )
    return header.ljust(80, b"\0") + struct.pack("<I", len(triangles)) + facets


def stl_solid(points, triangles):
    """Bytes that begin like text, as some programs write them."""
    return stl_binary(points, triangles, b"solid made by a program, SPACE=LPS")


def stl_ascii(points, triangles, name="3D Slicer output. SPACE=LPS"):
    half = len(triangles) // 2
    text = ""
    for part in (triangles[:half], triangles[half:]):
        text += f"solid {name}\n"
        for t in part:
            corners = "".join("   vertex {!r} {!r} {!r}\n".format(*p) for p in points[t].tolist())
            text += f" facet normal 0 0 1e-3\n  outer loop\n{corners}  endloop\n endfacet\n"
        text += f"endsolid {name}\n"
    return text.encode()


def _ply_header(form, points, faces, extra=""):
    return (
        f"ply\nformat {form} 1.0\ncomment SPACE=LPS\nobj_info nothing\nelement vertex {len(points)}\n"
        f"property float x\nproperty float y\nproperty float z\n{extra}"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\nend_header\n"
    ).encode()


def ply_ascii(points, faces):
    rows = [" ".join(map(repr, p)) for p in np.asarray(points).tolist()]
    rows += [" ".join(map(str, (len(f), *f))) for f in faces]
    return _ply_header("ascii", points, faces) + ("\n".join(rows) + "\n").encode()


def ply_binary(points, faces, order="<"):
    form = "binary_little_endian" if order == "<" else "binary_big_endian"
    data = np.asarray(points).astype(order + "f4").tobytes()
    data += b"".join(struct.pack(f"{order}B{len(f)}i", len(f), *f) for f in faces)
    return _ply_header(form, points, faces) + data


def ply_coloured(points, faces):
    """With colours beside the points, quality beside the faces, and edges behind them."""
    header = _ply_header(
        "binary_little_endian", points, faces, "property uchar red\nproperty list uchar float more\n"
    ).replace(
        b"vertex_indices\nend_header",
        b"vertex_index\nproperty double quality\nelement edge 1\nproperty int a\nproperty int b\nend_header",
    )
    data = b"".join(struct.pack("<3fBB2f", *p, 7, 2, 1.5, 2.5) for p in np.asarray(points))
    data += b"".join(struct.pack(f"<B{len(f)}id", len(f), *f, 0.5) for f in faces)
    return header + data + struct.pack("<2i", 0, 1)


def obj(points, faces):
    lines = ["# 3D Slicer output. SPACE=LPS", "mtllib a.mtl", "o surface", "vn 0 0 1"]
    half = len(points) // 2
    lines += ["v {!r} {!r} {!r}".format(*p) for p in np.asarray(points).tolist()]
    lines += ["vt 0 0", "usemtl red", "s off", "g all"]
    for n, f in enumerate(faces):
        if n % 3 == 0:
            lines.append("f " + " ".join(f"{i + 1}//1" for i in f))
        elif n % 3 == 1:
            lines.append("f " + " ".join(f"{i - len(points)}" for i in f))
        else:
            lines.append("f " + " \\\n ".join(f"{i + 1}/1/1" for i in f))
    assert half
    return ("\r\n".join(lines) + "\r\n").encode()


def vtk_legacy(points, faces, *, binary, version="4.2", strips=False):
    """Versions up to 4.2 count the corners before each cell, 5.1 says where each begins."""
    name = "TRIANGLE_STRIPS" if strips else "POLYGONS"
    sizes = [len(f) for f in faces]

    def array(values, kind):
        if binary:
            return np.asarray(values).astype(">" + kind).tobytes() + b"\n"
        return (" ".join(map(repr, np.asarray(values).ravel().tolist())) + "\n").encode()

    out = f"# vtk DataFile Version {version}\n3D Slicer output. SPACE=LPS\n".encode()
    out += (b"BINARY" if binary else b"ASCII") + b"\nDATASET POLYDATA\n"
    out += b"FIELD FieldData 1\nTimeValue 1 1 double\n" + array([2.5], "f8")
    out += f"POINTS {len(points)} float\n".encode() + array(points, "f4")
    out += b"METADATA\nINFORMATION 1\nNAME L2_NORM_RANGE LOCATION vtkDataArray\nDATA 2 0 30 \n\n"
    if version >= "5":
        out += f"{name} {len(faces) + 1} {sum(sizes)}\nOFFSETS vtktypeint64\n".encode()
        out += array(np.cumsum([0, *sizes]), "i8") + b"CONNECTIVITY vtktypeint64\n"
        out += array(np.concatenate(faces), "i8")
    else:
        out += b"LINES 1 3\n" + array([2, 0, 1], "i4")
        out += f"{name} {len(faces)} {len(faces) + sum(sizes)}\n".encode()
        out += array(np.concatenate([(len(f), *f) for f in faces]), "i4")
    return out + f"POINT_DATA {len(points)}\nSCALARS a float\nLOOKUP_TABLE default\n".encode() + b"\0" * 9


def vtp(points, faces, *, mode="ascii", packed=False, order="<", head="<u8", strips=False):
    """Text, base64 ("binary"), appended bytes ("raw") or appended base64 ("base64")."""
    head = order + head[1:]
    appended = bytearray()

    def block(raw):
        if not packed:
            parts = np.array([len(raw)], head).tobytes(), raw
        else:
            size = 64
            blocks = [raw[i : i + size] for i in range(0, len(raw), size)]
            small = [zlib.compress(b) for b in blocks]
            sizes = [len(blocks), size, len(raw) % size, *map(len, small)]
            parts = np.array(sizes, head).tobytes(), b"".join(small)
        if mode == "raw":
            return parts[0] + parts[1]
        if packed:
            return base64.b64encode(parts[0]) + base64.b64encode(parts[1])
        return base64.b64encode(parts[0] + parts[1])

    def array(name, values, kind, tag="DataArray"):
        values = np.asarray(values)
        if mode == "ascii":
            text = " ".join(map(repr, values.ravel().tolist()))
            return f'<{tag} type="{kind}" Name="{name}" format="ascii">{text}<InformationKey/> </{tag}>'
        types = {"Float32": "f4", "Int64": "i8", "Int32": "i4", "String": "u1"}
        data = block(values.astype(order + types[kind]).tobytes())
        if mode == "binary":
            text = data.decode()
            return f'<{tag} type="{kind}" Name="{name}" format="binary">\n {text}\n</{tag}>'
        at = len(appended)
        appended.extend(data)
        return f'<{tag} type="{kind}" Name="{name}" format="appended" offset="{at}"/>'

    kind, count = ("Strips", "NumberOfStrips") if strips else ("Polys", "NumberOfPolys")
    space = array("SPACE", list(b"LPS\0"), "String", "Array")
    inner = f"<Points>{array('Points', points, 'Float32')}</Points><{kind}>"
    inner += array("connectivity", np.concatenate(faces), "Int64")
    inner += array("offsets", np.cumsum([len(f) for f in faces]), "Int32") + f"</{kind}>"
    compressor = ' compressor="vtkZLibDataCompressor"' if packed else ""
    endian = "LittleEndian" if order == "<" else "BigEndian"
    out = (
        f'<?xml version="1.0"?>\n<VTKFile type="PolyData" version="1.0" byte_order="{endian}" '
        f'header_type="UInt{8 * int(head[2:])}"{compressor}><PolyData><FieldData>{space}</FieldData>'
        f'<Piece NumberOfPoints="{len(points)}" {count}="{len(faces)}">{inner}</Piece></PolyData>'
    ).encode()
    if mode in ("raw", "base64"):
        out += f'<AppendedData encoding="{mode}">\n _'.encode() + bytes(appended) + b"\n</AppendedData>"
    return out + b"</VTKFile>\n"


MAKERS = {
    "stl": (".stl", stl_binary),
    "stl that begins with solid": (".STL", stl_solid),
    "stl text": (".stl", stl_ascii),
    "ply": (".ply", ply_binary),
    "ply big-endian": (".ply", lambda p, f: ply_binary(p, f, ">")),
    "ply text": (".ply", ply_ascii),
    "ply with colours": (".ply", ply_coloured),
    "obj": (".obj", obj),
    "vtk 4.2": (".vtk", lambda p, f: vtk_legacy(p, f, binary=True)),
    "vtk 4.2 text": (".vtk", lambda p, f: vtk_legacy(p, f, binary=False)),
    "vtk 5.1": (".vtk", lambda p, f: vtk_legacy(p, f, binary=True, version="5.1")),
    "vtk 5.1 text": (".vtk", lambda p, f: vtk_legacy(p, f, binary=False, version="5.1")),
    "vtp text": (".vtp", vtp),
    "vtp base64": (".vtp", lambda p, f: vtp(p, f, mode="binary", head="<u4")),
    "vtp base64 packed": (".vtp", lambda p, f: vtp(p, f, mode="binary", packed=True)),
    "vtp appended": (".vtp", lambda p, f: vtp(p, f, mode="raw", order=">")),
    "vtp appended packed": (".vtp", lambda p, f: vtp(p, f, mode="raw", packed=True, head="<u4")),
    "vtp appended base64": (".vtp", lambda p, f: vtp(p, f, mode="base64", packed=True)),
}
